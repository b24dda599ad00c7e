"""What did a source send? Append-only evidence, content-addressed, from which rows are replayed.

Answers are kept whole, as NDJSON.zst named by their own digest; of an archive file, which stays
where its owner keeps it, path, size and digest are kept. Nothing here is ever rewritten.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path

import zstandard

from warehouse.location import Location, write_durably

ZSTD_LEVEL = 3  # ten takes twelve times as long and makes answers no smaller


class DamagedEvidence(ValueError):
    """A raw file no longer has the digest in its name; the message names the file."""


@dataclass(frozen=True, slots=True)
class Page:
    """One answer: what was asked, the text that came, and when (ISO 8601, UTC)."""

    request: str
    text: str
    received_at: str


def land(location: Location, source: str, pages: Iterable[Page]) -> str:
    """Keep `pages` of `source` in order; return the digest that names them.

    The same pages have the same digest, and landing them twice writes nothing.
    """
    lines = (json.dumps(asdict(page), sort_keys=True, ensure_ascii=False) for page in pages)
    content = "".join(f"{line}\n" for line in lines).encode()
    digest = sha256(content).hexdigest()
    path = _pages_path(location, source, digest)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_durably(path, zstandard.ZstdCompressor(level=ZSTD_LEVEL).compress(content))
    return digest


def replay(location: Location, source: str, digest: str) -> Iterator[Page]:
    """The landed pages, in order. Raises `DamagedEvidence` where the bytes have changed."""
    path = _pages_path(location, source, digest)
    try:
        with path.open("rb") as file:
            content = zstandard.ZstdDecompressor().stream_reader(file).read()
    except zstandard.ZstdError as error:
        raise DamagedEvidence(f"{path}: cannot be unpacked: {error}") from error
    if sha256(content).hexdigest() != digest:
        raise DamagedEvidence(f"{path}: content no longer has the digest in its name")
    for line in content.decode().split("\n"):  # a text may hold what else is called a line's end
        if line:
            yield Page(**json.loads(line))


def record_archive(location: Location, path: Path, digest: str, at: datetime) -> str:
    """Note that the file `path` with sha256 `digest` was read; return the digest."""
    note = location.raw / "archives" / f"{digest}.json"
    if not note.exists():
        note.parent.mkdir(parents=True, exist_ok=True)
        fact = {
            "path": str(path.resolve()),
            "bytes": path.stat().st_size,
            "sha256": digest,
            "first_read_at": at.isoformat(),
        }
        write_durably(note, json.dumps(fact, indent=1).encode())
    return digest


def _pages_path(location: Location, source: str, digest: str) -> Path:
    return location.raw / source / f"{digest}.ndjson.zst"
