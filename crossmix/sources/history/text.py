"""Text files: their encoding, their separator, their lines of cells."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import re
import zlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from crossmix.schema import DataError
from crossmix.sources.history import beside, json_tables, json_text, kinds
from crossmix.sources.history.packed import LARGEST
from crossmix.sources.history.sheet import HEADER_LINES, ROWS, Score, Sheet, framed

SEPARATORS = (",", ";", "\t", "|")
BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
OLDER = ("cp1252", "cp1250", "cp1251", "cp1254", "cp1253", "cp932", "gb18030", "cp949", "big5")
"""Encodings from before UTF-8: western, central European, Cyrillic, Turkish, Greek, Japanese, Chinese, Korean,
traditional Chinese; of those that show as many names the first is taken."""
BINARY = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
"""Characters that no text has."""
_FORMULA = re.compile(r'^\s*="(.*)"\s*$', re.DOTALL)
IPINYOU = re.compile(r"[0-9a-f]{16,}\t\d{17}\t", re.IGNORECASE)
"""How a line of iPinYou's raw logs begins: the bid's id and a time to the millisecond."""


def read(path: Path, name: str, score: Score) -> list[Sheet]:
    """A text file, which may be gzipped: one table, of JSON one or several.

    Args:
        name: for errors.

    Raises:
        DataError: it is no text, no table, or too large.
        NoTableError: it is prose, or JSON of something else.
    """
    text, encoding = decoded(path, name, score)
    if beside.is_prose(path, text) and not _other_kind(text) and not IPINYOU.match(text):
        raise beside.no_table(name)
    is_json = json_text.begins(text) and not _other_kind(text)
    sheets = json_tables.read(text, name, stem(path), score) if is_json else [_table(text, name, stem(path), score)]
    if encoding not in {"utf-8", "utf-8-sig"}:
        sheets[0].notes.append(f"{sheets[0].stem!r} is read as {encoding.upper()}.")
    return sheets


def _table(text: str, name: str, called: str, score: Score) -> Sheet:
    """A table of lines."""
    if IPINYOU.match(text):
        raise DataError(
            f"data.path: {name!r} looks like a raw iPinYou log, a line for each impression and no header; it is "
            "no spend history: bring it into the 27 columns with a header and read it with --source ipinyou"
        )
    if kind := _other_kind(text):
        remedy = "" if ":" in kind else "; save it as .csv or .xlsx (a table with a header)"
        raise DataError(f"data.path: {name!r} is {kind}{remedy}")
    if text.count("\n") > ROWS:
        raise DataError(f"data.path: {name!r} has more than {ROWS:,} lines; add them up to days")
    text, separator, said = _separator(text, score)
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True, skipinitialspace=True)
        lines = [
            (reader.line_num, cells)
            for cells in reader
            if cells and (cells[0][:1].isalnum() or any(map(str.strip, cells)))
        ]
    except csv.Error as error:
        raise DataError(f"data.path: {name!r} cannot be read ({error}); repair that line") from None
    if '="' in text:  # `="0123"`: text that a spreadsheet is not to take for a number
        lines = [(number, [_FORMULA.sub(r"\1", cell) for cell in cells]) for number, cells in lines]
    sheet = framed(name, called, lines, score)
    if said:
        sheet.notes.append(f"The line `sep={separator}` of {sheet.stem!r} names the separator.")
    return sheet


def stem(path: Path) -> str:
    """A file's name without its endings."""
    name = path.name.removesuffix(".gz")
    return name.rpartition(".")[0] or name


def unpacked(path: Path, name: str) -> bytes:
    """A file's bytes, which may be gzipped.

    Raises:
        DataError: more than `packed.LARGEST`, or a damaged gzip file.
    """
    try:
        with path.open("rb") as plain, gzip.open(plain) as inside:
            file = inside if plain.peek(2)[:2] == b"\x1f\x8b" else plain
            found: bytes = file.read(LARGEST + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"data.path: {name!r} cannot be unpacked ({error}); fetch it again") from None
    if len(found) > LARGEST:
        raise DataError(
            f"data.path: {name!r} has more than {LARGEST / 1e6:,.0f} MB of text, and daily totals have not; "
            "add it up to days"
        )
    return found


def decoded(path: Path, name: str, score: Score) -> tuple[str, str]:
    """A file's text and its encoding: UTF-8, UTF-16 or, where neither fits, the older one that shows most known names.

    Raises:
        DataError: no text.
    """
    packed = unpacked(path, name)
    kinds.check(packed[:512], name)
    encodings = [encoding for bom, encoding in BOMS if packed.startswith(bom)] or [*_wide(packed), "utf-8"]
    for encoding in encodings:
        try:
            text = packed.decode(encoding)
        except UnicodeDecodeError:
            continue
        if not BINARY.search(text):
            return text, encoding
    older = {}
    for encoding in OLDER:
        with suppress(UnicodeDecodeError):
            text = packed.decode(encoding)
            if not BINARY.search(text):
                older[encoding] = text
    if older:
        named = {encoding: _named(text, score) for encoding, text in older.items()}
        best = max(older, key=lambda encoding: named[encoding])
        return older[best], best
    raise DataError(f"data.path: {name!r} is not text (UTF-8); pass a comma-separated history, or a workbook")


def _other_kind(text: str) -> str | None:
    """What a text is that is no table of lines."""
    start = text.lstrip("\ufeff \t\r\n")[:500].lower()
    if "docs.google.com" in start and start.startswith(("{", "<?xml", "http")):
        return "a link to a Google sheet: choose File, Download, Comma-separated values there, and name that file"
    if re.match(r"https?://\S+\s*$", start):
        return "a link: download what it names, and name that file"
    if re.match(r"<(!doctype html|html|table|head|meta|div)\b", start):
        return "a web page"
    if start.startswith("<?xml"):
        return "XML"
    return None


def _named(text: str, score: Score) -> int:
    """How many columns of a history the best line of a text names, whatever its separator."""
    head = list(io.StringIO(text[: 1 << 16]))[:HEADER_LINES]
    return max((score(cells) for one in SEPARATORS for cells in _loosely(head, one)), default=0)


def _wide(packed: bytes) -> list[str]:
    """UTF-16 without a mark: every second byte of plain letters is zero."""
    head = packed[:2000]
    if head[1::2].count(0) > len(head) / 4:
        return ["utf-16-le"]
    return ["utf-16-be"] if head[::2].count(0) > len(head) / 4 else []


def _separator(text: str, score: Score) -> tuple[str, str, bool]:
    """The text, its separator, and whether a line `sep=` says so (it is gone then)."""
    said = re.match(r'\s*"?sep=(.)"?[^\S\n]*\r?\n', text, re.IGNORECASE)
    if said:
        return text[said.end() :], said.group(1), True
    head = list(io.StringIO(text[: 1 << 18]))[:HEADER_LINES]

    def names(separator: str) -> tuple[int, int]:
        return max((score(cells), len(cells)) for cells in _loosely(head, separator)) if head else (0, 0)

    best = max(SEPARATORS, key=lambda separator: (names(separator)[0], head[0].count(separator) if head else 0))
    return text, best, False


def _loosely(lines: Sequence[str], separator: str) -> list[list[str]]:
    try:
        return list(csv.reader(lines, delimiter=separator)) or [[]]
    except csv.Error:
        return [[]]
