"""How is a packed file read without trusting it? As a stream, within bounds, checksum first."""

import gzip
import hashlib
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import polars as pl

from pipelines.archives import parquet
from pipelines.archives.base import (
    LARGEST_RATIO,
    SLACK_BYTES,
    Chunk,
    Layout,
    Lines,
    SourceRefused,
    SourceUnavailable,
)

CHUNK_BYTES = 32 * 2**20
LINE_BYTES = 2**20  # no row of any archive is nearly as long
BYTE_ORDER_MARK = b"\xef\xbb\xbf"

_DAMAGE = (zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, EOFError, NotImplementedError)


@dataclass(frozen=True, slots=True)
class Digest:
    """The sha256 of a file, and whether the archive's own checksum confirmed it."""

    sha256: str
    is_confirmed: bool


def digest(path: Path) -> Digest:
    """Hash the file and compare with `<name>.CHECKSUM` beside it, where there is one.

    Raises `SourceRefused` naming both digests where they differ.
    """
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    beside = path.with_name(f"{path.name}.CHECKSUM")
    if not beside.exists():
        return Digest(found, False)
    words = beside.read_text(errors="replace").split()
    if len(words) != 2 or words[1].lstrip("*") != path.name:
        raise SourceRefused(f"{beside}: is no checksum of {path.name}: {' '.join(words)[:80]!r}")
    if words[0].lower() != found:
        raise SourceRefused(f"{path}: sha256 was {found}, its CHECKSUM file says {words[0]}")
    return Digest(found, True)


def chunks(
    path: Path,
    layout: Callable[[str], Layout] | pl.Schema,
    *,
    progress: Callable[[int], None] | None = None,
) -> Iterator[Chunk]:
    """The rows of a file in chunks, as `lines` or `parquet.rows` give them."""
    if isinstance(layout, pl.Schema):
        yield from parquet.rows(path, layout, progress=progress)
    else:
        yield from lines(path, layout, progress=progress)


def lines(
    path: Path,
    layout: Callable[[str], Layout],
    *,
    chunk_bytes: int = CHUNK_BYTES,
    progress: Callable[[int], None] | None = None,
) -> Iterator[Lines]:
    """The rows of a .csv, .csv.gz or .zip file in chunks of whole lines, byte-order mark removed.

    `progress` is told how many packed bytes were read. Raises `SourceRefused` where the file is
    damaged, holds other than the one member its name promises, or unpacks beyond all proportion.
    """
    columns: tuple[str, ...] | None = None
    first_row, rest, size = 1, b"", path.stat().st_size
    with _opened(path) as (file, position):
        for block in _blocks(path, file, chunk_bytes):
            text = rest + block
            if columns is None:
                text, columns = _without_header(text.removeprefix(BYTE_ORDER_MARK), layout)
            cut = text.rfind(b"\n") + 1
            text, rest = text[:cut], text[cut:]
            if len(rest) > LINE_BYTES:
                raise SourceRefused(f"{path}: row {first_row} is longer than {LINE_BYTES} bytes")
            if text:
                chunk = Lines(columns, text, first_row)
                first_row = chunk.end_row
                yield chunk
            if progress:
                progress(position())
    if path.stat().st_size != size:
        raise SourceUnavailable(f"{path}: changed while it was read; import it once it is whole")
    if rest:
        yield Lines(columns or (), rest + b"\n", first_row)


def _without_header(text: bytes, layout: Callable[[str], Layout]) -> tuple[bytes, tuple[str, ...]]:
    head, _, tail = text.partition(b"\n")
    found = layout(head.decode("utf-8", errors="replace").rstrip("\r"))
    return (tail if found.has_header else text), found.columns


@contextmanager
def _opened(path: Path) -> Iterator[tuple[IO[bytes], Callable[[], int]]]:
    """The unpacked stream, and how far into the packed file it is."""
    with path.open("rb") as packed:
        try:
            if path.suffix == ".zip":
                with zipfile.ZipFile(packed) as archive:
                    member = _only_member(path, archive)
                    with archive.open(member) as stream:
                        yield stream, packed.tell
            elif path.suffix == ".gz":
                with gzip.GzipFile(fileobj=packed) as stream:
                    yield stream, packed.tell  # type: ignore[misc]
            else:
                yield packed, packed.tell
        except _DAMAGE as error:
            raise SourceRefused(f"{path}: is damaged: {error}") from error


def _only_member(path: Path, archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    members, expected = archive.infolist(), f"{path.stem}.csv"
    names = [member.filename for member in members]
    if names != [expected]:
        shown = ", ".join(repr(name) for name in names[:3]) or "nothing"
        raise SourceRefused(f"{path}: holds {shown} where {expected!r} alone is expected")
    member = members[0]
    if member.flag_bits & 0x1:
        raise SourceRefused(f"{path}: is encrypted")
    _check_proportion(path, member.file_size)
    return member


def _check_proportion(path: Path, unpacked: int) -> None:
    packed = path.stat().st_size
    if unpacked > LARGEST_RATIO * packed + SLACK_BYTES:
        raise SourceRefused(
            f"{path}: unpacks from {packed} to {unpacked} bytes or more, "
            f"beyond {LARGEST_RATIO} to 1"
        )


def _blocks(path: Path, file: IO[bytes], chunk_bytes: int) -> Iterator[bytes]:
    """What a zip declares is checked before; what comes out is checked for every kind of file."""
    total = 0
    while block := _bounded(path, file.read, chunk_bytes):
        total += len(block)
        _check_proportion(path, total)
        yield block


def _bounded(path: Path, read: Callable[[int], bytes], size: int) -> bytes:
    try:
        return read(size)
    except _DAMAGE as error:
        raise SourceRefused(f"{path}: is damaged: {error}") from error
