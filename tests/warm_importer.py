"""A process that has loaded everything and forks an import for every line it is told.

Great Expectations takes seconds to load: a fork of this process starts to import at once, so that
a kill can fall on any moment of the import.
"""

import os
import sys
from pathlib import Path

import archive_files

from expectations import validation
from pipelines.ingest import import_paths
from warehouse.location import Location


def tell(what: object) -> None:
    """One line to whoever started this process."""
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


def main(root: Path, source: Path) -> None:
    """Fork at each line; tell the child's id when it starts and its exit when it has ended."""
    validation.is_empty(0)
    tell("warm")
    for _ in sys.stdin:
        child = os.fork()
        if not child:
            report = import_paths(Location(root), [source], clock=archive_files.clock)
            os._exit(report.exit_code)
        tell(child)
        tell(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
