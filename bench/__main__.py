"""How fast, how much memory, and do the proofs hold at length? Prints ratios; asserts nothing.

`python -m bench` runs everything, `python -m bench importing` one module.
"""

import importlib
import os
import pkgutil
import platform
import subprocess
import sys

import bench

# The proofs that `make test` runs at 20 kills, and at 6 days of a backfill instead of 20.
LONG_PROOFS = (
    "tests/test_lake.py",
    "tests/test_import_kills.py",
    "tests/test_published_readers.py",
    "tests/test_backfill_kills.py",
)


def main(names: list[str]) -> int:
    modules = [m.name for m in pkgutil.iter_modules(bench.__path__) if m.name != "__main__"]
    if unknown := sorted(set(names) - {*modules, "proofs"}):
        sys.exit(f"bench: no module {unknown}; there are {[*modules, 'proofs']}")
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, "
          f"Python {platform.python_version()}")  # fmt: skip
    for name in modules:
        if not names or name in names:
            print(f"\n{name}", flush=True)
            for what, figure in importlib.import_module(f"bench.{name}").run():
                print(f"  {what:<70} {figure}", flush=True)
    if names and "proofs" not in names:
        return 0
    print("\nproofs, 200 kills each", flush=True)
    command = [sys.executable, "-m", "pytest", "-n", "0", "-k", "kill", *LONG_PROOFS]
    return subprocess.run(
        command, env={**os.environ, "HEDGEHOUSE_KILLS": "200"}, check=False
    ).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
