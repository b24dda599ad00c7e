"""What does the import of a day of trades cost, beside reading its bytes and writing Parquet?"""

import io
import json
import subprocess
import sys
import time
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl

ROWS = 1_000_000
TIMES = 3  # the best of them counts: others use the machine too
FOLDERS = Path("data/spot/daily/trades/BTCUSDT")
MEMBER = "BTCUSDT-trades-2024-08-08"

# Each side runs in a process of its own, so that the memory of one is not the other's.
CHILD = """
import json, resource, sys
from pathlib import Path
from bench import importing
side, source, target = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
runs = [importing.SIDES[side](source, target / str(n)) for n in range(importing.TIMES)]
wall, processor = (min(times) for times in zip(*runs))
memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"wall": wall, "processor": processor, "mib": memory}))
"""


def run() -> list[tuple[str, str]]:
    """Time against polars on the same file, and peak memory of one day against a fourfold one."""
    with TemporaryDirectory() as folder:
        root = Path(folder)
        one, four = (_day(root / str(n), n * ROWS) for n in (1, 4))
        base = _measured("polars", one, root / "base")
        ours = _measured("hedgehouse", one, root / "one")
        large = _measured("hedgehouse", four, root / "four")
        large_base = _measured("polars", four, root / "base_four")
    return [
        ("import of 1 M trades against polars, wall", _ratio(ours, base, "wall")),
        ("import of 1 M trades against polars, processor", _ratio(ours, base, "processor")),
        ("import of 4 M trades against polars, wall", _ratio(large, large_base, "wall")),
        ("import of 4 M trades against polars, processor", _ratio(large, large_base, "processor")),
        ("peak memory of 4 M trades against 1 M", _ratio(large, ours, "mib")),
        ("peak memory of importing 4 M trades", f"{large['mib']:.0f} MiB"),
        ("trades imported per second", f"{4 * ROWS / large['wall']:,.0f}"),
    ]


def with_polars(source: Path, target: Path) -> tuple[float, float]:
    """Seconds, by the wall and of the processor, to unzip, read and write Parquet."""
    target.mkdir(parents=True)
    started = _now()
    with zipfile.ZipFile(source) as archive:
        text = archive.read(f"{MEMBER}.csv")
    pl.read_csv(io.BytesIO(text), has_header=False).write_parquet(target / "trades.parquet")
    return _since(started)


def with_hedgehouse(source: Path, target: Path) -> tuple[float, float]:
    """The same to import, once Great Expectations is loaded."""
    from expectations import validation
    from pipelines.ingest import import_paths
    from warehouse.location import Location

    validation.is_empty(0)
    started = _now()
    report = import_paths(
        Location(target), [source], clock=lambda: datetime(2024, 8, 10, tzinfo=UTC)
    )
    seconds = _since(started)
    if report.exit_code or sum(file.rows for file in report.files) % ROWS:
        raise RuntimeError(f"the import went wrong: {report}")
    return seconds


def _now() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def _since(started: tuple[float, float]) -> tuple[float, float]:
    wall, processor = _now()
    return wall - started[0], processor - started[1]


SIDES = {"polars": with_polars, "hedgehouse": with_hedgehouse}


def _measured(side: str, source: Path, target: Path) -> dict[str, float]:
    answer = subprocess.run(
        [sys.executable, "-c", CHILD, side, str(source), str(target)],
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[1],
    )
    return json.loads(answer.stdout.splitlines()[-1])


def _ratio(ours: dict[str, float], theirs: dict[str, float], what: str) -> str:
    return f"{ours[what] / theirs[what]:.2f}"


def _day(root: Path, rows: int) -> Path:
    """A day of spot trades as Binance's archive writes them."""
    rng = np.random.default_rng(rows)
    start_ms = int(datetime(2024, 8, 8, tzinfo=UTC).timestamp() * 1_000)
    price = 60_000 + np.cumsum(rng.normal(0, 0.5, rows)).round(2)
    quantity = np.ceil(rng.exponential(2_000, rows)) / 1e5
    frame = pl.DataFrame(
        {
            "id": np.arange(rows) + 3_735_692_997,
            "price": price,
            "qty": quantity,
            "quote_qty": price * quantity,
            "time": start_ms + np.sort(rng.integers(0, 86_400_000, rows)),
            "is_buyer_maker": np.where(rng.random(rows) < 0.5, "True", "False"),
            "is_best_match": pl.repeat("True", rows, eager=True),
        }
    )
    path = root / FOLDERS / f"{MEMBER}.zip"
    path.parent.mkdir(parents=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{MEMBER}.csv", frame.write_csv(include_header=False, float_precision=8))
    return path


if __name__ == "__main__":
    for name, value in run():
        print(f"{name}: {value}")
