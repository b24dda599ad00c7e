"""How do the venues' archives look as bytes? Zips with checksums, gzipped CSV, always the same."""

import gzip
import hashlib
import io
import zipfile
from pathlib import Path

import polars as pl

PACKED_AT = (2026, 1, 1, 0, 0, 0)  # a fixed stamp: same rows, same bytes


def write_zip(path: Path, rows: bytes) -> Path:
    """A zip of one CSV named as the archive names it, and its `.CHECKSUM` in sha256sum's format."""
    path.parent.mkdir(parents=True, exist_ok=True)
    member = zipfile.ZipInfo(f"{path.stem}.csv", PACKED_AT)
    member.compress_type = zipfile.ZIP_DEFLATED
    member.create_system = 3
    member.external_attr = 0o644 << 16
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(member, rows, compresslevel=6)
    content = packed.getvalue()
    path.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    path.with_name(f"{path.name}.CHECKSUM").write_text(f"{digest}  {path.name}\n")
    return path


def write_gzip(path: Path, frame: pl.DataFrame, level: int = 6) -> Path:
    """A gzipped CSV with a header; missing values are empty cells."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(csv(frame), compresslevel=level, mtime=0))
    return path


def csv(frame: pl.DataFrame, *, header: bool = True) -> bytes:
    """The frame as CSV bytes, LF line ends."""
    return frame.write_csv(include_header=header).encode()


def write_table(folder: Path, name: str, frame: pl.DataFrame) -> Path:
    """One table of the planted truth."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.parquet"
    frame.write_parquet(path, compression="zstd")
    return path
