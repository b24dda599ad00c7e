"""What did a source send? Append-only evidence, content-addressed, from which rows are replayed.

Answers are kept whole, as NDJSON.zst named by their own digest: on each line when one came, to
which request, and the answer byte for byte, as it is where that is JSON on one line (`body`), else
as a text (`text`). Of an archive file, which stays where its owner keeps it, path, size and digest
are kept. Nothing here is ever rewritten.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path

import zstandard

from warehouse.location import Location, write_durably

BODY = ', "body": '
ZSTD_LEVEL = 1  # of single answers; ten takes twelve times as long and makes them no smaller


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
    hashed, packer = sha256(), zstandard.ZstdCompressor(level=ZSTD_LEVEL)
    packed = []
    for page in pages:  # each a frame of its own: all of them together are large
        line = _line(page)
        hashed.update(line)
        packed.append(packer.compress(line))
    path = _pages_path(location, source, hashed.hexdigest())
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_durably(path, b"".join(packed))
    return hashed.hexdigest()


def replay(location: Location, source: str, digest: str) -> Iterator[Page]:
    """The landed pages, in order. Raises `DamagedEvidence` where the bytes have changed."""
    path = _pages_path(location, source, digest)
    try:
        with path.open("rb") as file:
            unpacker = zstandard.ZstdDecompressor()
            content = unpacker.stream_reader(file, read_across_frames=True).read()
    except zstandard.ZstdError as error:
        raise DamagedEvidence(f"{path}: cannot be unpacked: {error}") from error
    if sha256(content).hexdigest() != digest:
        raise DamagedEvidence(f"{path}: content no longer has the digest in its name")
    for line in content.split(b"\n"):  # a text may hold what else is called a line's end
        if line:
            yield _page(line)


def _line(page: Page) -> bytes:
    text = page.text
    is_plain = text[:1] + text[-1:] in ("{}", "[]") and "\n" not in text
    if not is_plain:
        return json.dumps(asdict(page), sort_keys=True, ensure_ascii=False).encode() + b"\n"
    head = {"received_at": page.received_at, "request": page.request}
    return f"{json.dumps(head, ensure_ascii=False)[:-1]}{BODY}{text}}}\n".encode()


def _page(line: bytes) -> Page:
    head, body, text = line.partition(BODY.encode())  # in what stands before it, quotes are escaped
    if not body:
        return Page(**json.loads(line))
    return Page(**json.loads(head + b"}"), text=text[:-1].decode())


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
