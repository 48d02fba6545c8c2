"""The first bytes of a file -> a table, or what it is instead, by name."""

from pathlib import Path

from traitscope.errors import DataError

LOOKED_AT_BYTES = 4096

_BYTES = (
    (b"version https://git-lfs", "a Git LFS pointer, not the table: run git lfs pull"),
    (b"/annex/objects/", "a git-annex pointer, not the table: run git annex get"),
    (b"\x1f\x8b", "compressed (gzip): unpack it with gunzip"),
    (b"BZh", "compressed (bzip2): unpack it with bunzip2"),
    (b"\xfd7zXZ", "compressed (xz): unpack it with unxz"),
    (b"\x28\xb5\x2f\xfd", "compressed (zstd): unpack it with unzstd"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive: unpack it"),
    (b"Rar!", "a RAR archive: unpack it"),
    (b"\xd0\xcf\x11\xe0", "an old Excel file (.xls): save it as 'CSV UTF-8' in Excel"),
    (b"\x89HDF", "an HDF5 file: write the table as CSV or Parquet"),
    (b"\x93NUMPY", "a NumPy array: write it as CSV or Parquet, with names of columns"),
    (b"ARROW1", "a Feather or Arrow file: write the table as CSV or Parquet"),
    (b"SQLite format 3", "an SQLite database: write the table as CSV or Parquet"),
    (b"%PDF", "a PDF: write the table as CSV or Parquet"),
    (b"RDX", "an R file: write the table with write.csv"),
    (b"$FL2", "an SPSS file (.sav): write the table as CSV or Parquet"),
    (b"<stata_dta", "a Stata file: write the table as CSV or Parquet"),
)
_PICKLE = "a pickle, which is never opened: write the table as CSV or Parquet"
_PICKLES = tuple(b"\x80" + bytes([protocol]) for protocol in range(2, 6))
_OLD_PICKLES = (b"(dp", b"(lp", b"ccopy_reg\n", b"cpandas.", b"c__builtin__\n")
_WEB = "a web page or XML, not the table: download the file itself (perhaps after signing in)"
_JSON = "JSON: write the table as CSV or Parquet"
_PARQUET = b"PAR1"


def is_parquet(start: bytes, path: Path) -> bool:
    """Tell Parquet from text, by its bytes; anything else is refused by name.

    Raises:
        DataError: it is neither; says what it is and what to do.
    """
    if start.startswith(_PARQUET):
        return True
    other = _other(start)
    if other:
        raise DataError(f"{path} is no table: it is {other}.")
    if path.suffix.lower() == ".parquet":
        raise DataError(
            f"{path} is not readable as Parquet: it does not begin as one. Write it again, or "
            f"call it .csv if it is text."
        )
    return False


def unicode_of(start: bytes) -> str:
    """The encoding of text of two or four bytes a letter; else nothing."""
    if start.startswith((b"\xff\xfe\0\0", b"\0\0\xfe\xff")):  # the first begins as UTF-16 does
        return "utf-32"
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    pairs = start[: len(start) // 2 * 2]
    if b"\0" not in pairs:
        return ""
    # Latin letters of two bytes each, without a mark in front: every other byte is zero.
    if not any(pairs[0::2]) and all(pairs[1::2]):
        return "utf-16-be"
    return "utf-16-le" if not any(pairs[1::2]) and all(pairs[0::2]) else ""


def _other(start: bytes) -> str:
    plain = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    named = next((what for magic, what in _BYTES if start.startswith(magic)), "")
    if named:
        return named
    if start.startswith(b"PK\x03\x04"):
        # Spreadsheets are zips as well: they are known by the names of their first parts.
        office = (b"[Content_Types].xml", b"xl/", b"mimetype")
        if any(word in start for word in office):
            return "a spreadsheet (.xlsx or .ods): save it as 'CSV UTF-8' there"
        return "a zip archive: unpack it"
    if start.startswith((*_PICKLES, *_OLD_PICKLES)):
        return _PICKLE
    if plain[:15].lower().startswith((b"<!doctype", b"<html", b"<?xml", b"<head", b"<script")):
        return _WEB
    if plain.startswith((b'{"', b"[{", b"[[", b"{\n", b"{\r\n")):
        return _JSON
    if b"\0" in start and not unicode_of(start):
        return "not text: write the table as CSV or Parquet"
    return ""
