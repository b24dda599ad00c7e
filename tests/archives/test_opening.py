"""Packed files are read as a stream, within bounds, and checksum first."""

import gzip
import struct
import zipfile
from pathlib import Path

import archive_files
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.ahead import ahead
from pipelines.archives import opening
from pipelines.archives.base import Layout, SourceRefused

COLUMNS = ("a", "b")


def plain(_: str) -> Layout:
    return Layout(COLUMNS, False)


def headed(_: str) -> Layout:
    return Layout(COLUMNS, True)


def text_of(path: Path, layout=plain, chunk_bytes: int = 2**20) -> bytes:
    return b"".join(c.text for c in opening.lines(path, layout, chunk_bytes=chunk_bytes))


@given(
    rows=st.lists(st.tuples(st.integers(0, 9999), st.integers(0, 9999)), min_size=1, max_size=40),
    chunk_bytes=st.integers(12, 400),
    ends=st.booleans(),
)
def test_chunks_are_whole_lines_and_number_their_rows(tmp_path_factory, rows, chunk_bytes, ends):
    text = "\n".join(f"{a},{b}" for a, b in rows) + ("\n" if ends else "")
    path = tmp_path_factory.mktemp("lines") / "x.csv"
    path.write_text(text)
    chunks = list(opening.lines(path, plain, chunk_bytes=chunk_bytes))
    assert b"".join(c.text for c in chunks) == text.rstrip("\n").encode() + b"\n"
    expected = 1
    for chunk in chunks:
        assert chunk.text.endswith(b"\n")
        assert chunk.first_row == expected
        expected += chunk.text.count(b"\n")


@pytest.mark.parametrize("pack", ["csv", "csv.gz", "zip"])
def test_a_byte_order_mark_and_a_header_are_not_rows(tmp_path, pack):
    content = b"\xef\xbb\xbfa,b\n1,2\n"
    path = tmp_path / f"x.{pack}"
    if pack == "zip":
        archive_files.zip_file(path, content)
    else:
        path.write_bytes(gzip.compress(content) if pack == "csv.gz" else content)
    (chunk,) = opening.lines(path, headed)
    assert (chunk.text, chunk.first_row, chunk.columns) == (b"1,2\n", 1, COLUMNS)


@pytest.mark.parametrize(
    "member", ["../x.csv", "/etc/passwd", "folder/x.csv", "other.csv", "..\\x.csv"]
)
def test_a_zip_whose_member_is_not_the_one_its_name_promises_is_refused(tmp_path, member):
    path = archive_files.zip_file(tmp_path / "x.zip", "1,2\n", member=member)
    with pytest.raises(SourceRefused, match=r"x\.zip: holds .* where 'x\.csv' alone is expected"):
        text_of(path)


def test_a_zip_of_two_members_is_refused(tmp_path):
    path = archive_files.zip_file(tmp_path / "x.zip", "1,2\n")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("y.csv", "3,4\n")
    with pytest.raises(SourceRefused, match=r"holds 'x\.csv', 'y\.csv'"):
        text_of(path)


def test_a_zip_that_declares_ten_gigabytes_is_refused_before_it_is_unpacked(tmp_path):
    path = tmp_path / "x.zip"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("x.csv", "w", force_zip64=True) as member,
    ):
        for _ in range(64):
            member.write(b"0" * 2**20)
    with pytest.raises(SourceRefused, match="beyond 200 to 1"):
        text_of(path)


def test_a_gzip_bomb_is_stopped_after_its_bound(tmp_path):
    path = tmp_path / "x.csv.gz"
    path.write_bytes(gzip.compress(b"1,2\n" * 2**23))
    with pytest.raises(SourceRefused, match="beyond 200 to 1"):
        text_of(path)


def test_a_zip_that_lies_about_its_size_is_damaged_not_unpacked(tmp_path):
    path = archive_files.zip_file(tmp_path / "x.zip", "1,2\n" * 1_000)
    content = bytearray(path.read_bytes())
    entry = content.rfind(b"PK\x01\x02")
    content[entry + 24 : entry + 28] = struct.pack("<I", 8)
    path.write_bytes(content)
    with pytest.raises(SourceRefused, match="is damaged"):
        text_of(path)


@pytest.mark.parametrize("pack", ["zip", "csv.gz"])
@pytest.mark.parametrize("cut", [0.3, 0.9])
def test_a_truncated_file_is_damaged(tmp_path, pack, cut):
    rows = "".join(f"{n},{n * n}\n" for n in range(5_000))
    path = tmp_path / f"x.{pack}"
    if pack == "zip":
        archive_files.zip_file(path, rows)
    else:
        path.write_bytes(gzip.compress(rows.encode()))
    path.write_bytes(path.read_bytes()[: int(cut * path.stat().st_size)])
    with pytest.raises(SourceRefused, match=rf"x\.{pack}: is damaged"):
        text_of(path)


def test_a_flipped_bit_is_damage(tmp_path):
    path = archive_files.zip_file(tmp_path / "x.zip", "1,2\n" * 1_000)
    content = bytearray(path.read_bytes())
    content[45] ^= 1
    path.write_bytes(content)
    with pytest.raises(SourceRefused, match="is damaged"):
        text_of(path)


def test_text_without_line_ends_is_refused_rather_than_gathered(tmp_path):
    path = tmp_path / "x.csv"
    path.write_bytes(b"0" * (3 * opening.LINE_BYTES))
    with pytest.raises(SourceRefused, match="row 1 is longer than"):
        text_of(path)


def test_an_empty_file_has_no_rows(tmp_path):
    path = tmp_path / "x.csv"
    path.touch()
    assert text_of(path) == b""


def test_a_checksum_that_agrees_confirms_the_file(tmp_path):
    path = archive_files.with_checksum(archive_files.zip_file(tmp_path / "x.zip", "1,2\n"))
    assert opening.digest(path).is_confirmed


def test_a_checksum_that_differs_refuses_the_file_and_names_both_digests(tmp_path):
    path = archive_files.zip_file(tmp_path / "x.zip", "1,2\n")
    archive_files.with_checksum(path, "0" * 64)
    with pytest.raises(
        SourceRefused, match=rf"x\.zip: sha256 was [0-9a-f]{{64}}, .* says {'0' * 64}"
    ):
        opening.digest(path)


@pytest.mark.parametrize("text", ["", "abc", "0000  other.zip\n", "<html>no such key</html>"])
def test_a_checksum_file_that_is_none_refuses_the_file(tmp_path, text):
    path = archive_files.zip_file(tmp_path / "x.zip", "1,2\n")
    path.with_name("x.zip.CHECKSUM").write_text(text)
    with pytest.raises(SourceRefused, match=r"is no checksum of x\.zip"):
        opening.digest(path)


def test_a_file_without_a_checksum_is_read_but_not_confirmed(tmp_path):
    path = archive_files.zip_file(tmp_path / "x.zip", "1,2\n")
    assert not opening.digest(path).is_confirmed


def test_working_ahead_changes_neither_the_pieces_nor_the_error(tmp_path):
    path = tmp_path / "x.csv.gz"
    content = gzip.compress("".join(f"{n},{n * n}\n" for n in range(9_000)).encode())
    path.write_bytes(content)
    plainly = list(opening.lines(path, plain, chunk_bytes=5_000))
    assert list(ahead(opening.lines(path, plain, chunk_bytes=5_000))) == plainly
    path.write_bytes(content[:-20])
    with pytest.raises(SourceRefused, match="is damaged"):
        list(ahead(opening.lines(path, plain, chunk_bytes=5_000)))
