"""JSON as APIs and tools give it, read as tables of text: `.json`, `.jsonl`, one document a line or one in all.

A record is a row; names of fields within fields are joined by a dot (`segments.date`). A list of kinds and values
(Meta's `actions`) is a column for each kind; a list of records is gone down into where it has what the record lacks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from crossmix.schema import DataError
from crossmix.sources.history import beside, currencies, json_forms, json_text, numbers
from crossmix.sources.history.columns import NUMBERS, column_of, plain
from crossmix.sources.history.json_records import NEUTRAL, cell, flat, short
from crossmix.sources.history.json_text import DEEPEST, text_of
from crossmix.sources.history.sheet import ROWS, NoTableError, Score, Sheet, framed

SAMPLE = 50
"""So many records tell what a list of them has."""
LISTS = 4
"""Lists of records within one another that are gone down into: accounts, campaigns, groups and ads of a day."""
MOST_FIELDS = 2_000
ROWS_OF = ("rows", "list", "records", "elements", "items", "entities", "response", "campaigns", "insights")
"""Names of fields that hold a page's rows, beside those that say nothing (`NEUTRAL`)."""
BEHIND = 2
"""A list that names fewer columns than another by more is none of the tables."""
DIFFER = 0.01
"""A record's money and that of the records in it may differ by so much."""
_ENVELOPE = frozenset(
    (
        *("paging", "pagination", "page_info", "cursors", "links", "fieldMask", "requestId", "request_id", "code"),
        *("message", "status", "request_status", "request_type", "nextPageToken", "queryResourceConsumption"),
    )
)
"""Names of fields of a page that say nothing of its rows."""
_CONTROL = frozenset(("STATE", "SCHEMA", "LOG", "TRACE", "CATALOG", "SPEC", "CONTROL", "ACTIVATE_VERSION"))
"""Types of a connector's messages that are no records."""


@dataclass(slots=True)
class _Table:
    path: list[str]
    """Names of the fields that lead to it."""
    items: list[Any]
    """Records, or lists of cells."""


@dataclass(slots=True)
class _Rows:
    rows: list[dict[str, str]]
    unread: set[str] = field(default_factory=set)
    """Lists of records that were not gone down into."""


def read(text: str, name: str, stem: str, score: Score) -> list[Sheet]:
    """The tables of a JSON text; of several lists of records each that names a history's columns.

    Args:
        name: for errors.
        stem: what a table without a name of its own is called.

    Raises:
        DataError: it is damaged, an API's error message, or has no rows.
        NoTableError: it has no list of records.
    """
    try:
        found = _without_control(json_text.documents(text, name))
        document = found[0] if len(found) == 1 else found
        tables = _chosen([one for one in _tables(document, [], score) if one.items], score)
    except DataError as error:
        raise error if beside.names_figures(text) else NoTableError(str(error)) from None
    more = _check_pages(document, name, score)
    if not tables:
        if (said := json_text.message(document)) and not json_text.describes(document):
            json_text.refuse(name, said)
        if _is_empty(document):
            raise DataError(
                f"data.path: {name!r} has an empty list in place of rows; ask for days on which there was delivery"
            )
        raise NoTableError(
            f'data.path: {name!r} is JSON without a table (no list of records, as [{{"date": …, "spend": …}}]); '
            "export the rows, a record for each day, or save them as .csv"
        )
    common = _common(document)
    sheets = [_sheet(one, common, name, stem, len(tables) > 1, score) for one in tables]
    for sheet in sheets:
        sheet.unfinished = more or ""
    return sheets


def _without_control(documents: list[Any]) -> list[Any]:
    """Documents without what a connector (Airbyte, Singer) says between its records."""
    types = [text_of(one.get("type")) if isinstance(one, dict) else "" for one in documents]
    if "RECORD" not in types:
        return documents
    return [one for one, kind in zip(documents, types, strict=True) if kind not in _CONTROL]


def _check_pages(document: Any, name: str, score: Score) -> str | None:
    """What tells that more pages follow the last one.

    Raises:
        DataError: a page is an API's error message.
    """
    pages = [one for one in (document if isinstance(document, list) else [document]) if isinstance(one, dict)]
    pages = [one for one in pages if score(list(one)) < 2]
    for page in pages:
        if said := json_text.complaint(page):
            json_text.refuse(name, said)
    return json_text.goes_on(pages[-1]) if pages else None


def _tables(node: Any, path: list[str], score: Score) -> list[_Table]:
    """Every list of records or of cells, from above down to the first on each way."""
    if len(path) > DEEPEST:
        return []
    if isinstance(node, list):
        items = [one for one in node if one is not None and one != []]
        kinds = {type(one) for one in items}
        if kinds == {list}:
            return [_Table(path, items)]
        if kinds == {dict}:
            forms = [json_forms.records(one, score) if score(list(one)) < 2 else None for one in items[:SAMPLE]]
            if forms and all(one is not None for one in forms):
                return [_Table(path, [row for one in items for row in json_forms.records(one, score) or ()])]
            return [_Table(path, items)]
        if dict in kinds:
            at, odd = next((at, one) for at, one in enumerate(node) if one is not None and not isinstance(one, dict))
            raise DataError(
                f"data.path: in the list {'.'.join(path) or 'of records'} number {at + 1} ({text_of(odd)[:60]!r}) is "
                "no record as the others are; take it out, or export again"
            )
        return []
    if not isinstance(node, dict):
        return []
    if score([key for key, value in node.items() if not isinstance(value, dict | list)]) >= 3:
        return [_Table(path, [node])]
    records = json_forms.records(node, score)
    if records is not None:
        return [_Table(path, list(records))]
    return [table for key, value in node.items() for table in _tables(value, [*path, key], score)]


def _chosen(tables: Sequence[_Table], score: Score) -> list[_Table]:
    """Those that name most columns of a history, with a date where one has it; of lists without any the longest."""
    if len(tables) < 2:
        return list(tables)
    names = [_names_of(table) for table in tables]
    scores = [score(own) for own in names]
    least = max(3, max(scores) - BEHIND)
    good = [at for at, found in enumerate(scores) if found >= least]
    dated = [at for at in good if any(column_of(name) == "date" for name in names[at])]
    good = dated or good
    return [tables[at] for at in good] or [max(tables, key=lambda one: len(one.items))]


def _names_of(table: _Table) -> list[str]:
    if isinstance(table.items[0], list):
        return [text_of(one) for one in table.items[0]]
    return list(_header(_rows(table.items[:SAMPLE], 0).rows))


def _sheet(table: _Table, common: Mapping[str, str], name: str, stem: str, several: bool, score: Score) -> Sheet:
    called = next((part for part in table.path if part.lower() not in NEUTRAL), stem) if several else stem
    shown = f"{name} [{'.'.join(table.path)}]" if several else name
    if isinstance(table.items[0], list):
        lines = [(at, [cell(one) for one in line]) for at, line in enumerate(table.items, 1)]
        return framed(shown, called, [(at, cells) for at, cells in lines if any(map(str.strip, cells))], score)
    found = _rows(table.items, 0)
    if not found.rows:
        raise DataError(f"data.path: {shown!r} has records without any row of a day in them; export it again by day")
    header = _header(found.rows)
    own = {plain(column) for column in header.values()}
    held = {column: value for column, value in common.items() if plain(column) not in own}
    rows = [[*(row.get(path, "") for path in header), *held.values()] for row in found.rows]
    sheet = Sheet(shown, called, [*header.values(), *held], rows)
    sheet.notes.append(f"{called!r} is JSON: {len(rows):,} records are read as rows.")
    if found.unread:
        told = ", ".join(map(repr, sorted(found.unread)[:6]))
        sheet.notes.append(f"Lists of records within the records of {called!r} are not read: {told}.")
    return sheet


def _rows(items: Sequence[dict[str, Any]], depth: int) -> _Rows:
    """Records as rows by path, a list of records within them gone down into where it has what they lack."""
    flats = [flat(item) for item in items]
    down = _down(flats, depth) if depth < LISTS else None
    unread = {path for _, lists in flats for path in lists} - {down}
    if down is None:
        return _checked([values for values, _ in flats], unread)
    result, known = _Rows([], unread), _known(_rows(_sample(flats, down), depth + 1).rows)
    paid = 0.0
    for values, lists in flats:
        inner = lists.get(down)
        if inner is None:
            result.rows.append(values)
            continue
        found = _rows(inner, depth + 1)
        kept = {
            path: value
            for path, value in values.items()
            if column_of(short(path)) not in known and path.partition(".")[0] not in _ENVELOPE
        }
        paid += _money([values]) if found.rows else 0.0
        result.rows += [kept | row for row in found.rows]
        result.unread |= found.unread
        if len(result.rows) > ROWS:
            break
    inside = _money(result.rows)
    dated = "date" in _known([values for values, _ in flats[:SAMPLE]])
    if dated and paid and abs(inside - paid) > DIFFER * paid:
        raise DataError(
            f"spend: records have {paid:,.2f} in all, and those of their list {down!r} {inside:,.2f}; "
            "export one of both"
        )
    return _checked(result.rows, result.unread)


def _checked(rows: list[dict[str, str]], unread: set[str]) -> _Rows:
    if len(rows) > ROWS:
        raise DataError(f"data.path: it has more than {ROWS:,} records; add them up to days")
    return _Rows(rows, unread)


def _sample(flats: Sequence[tuple[dict[str, str], dict[str, list[dict[str, Any]]]]], path: str) -> list[dict[str, Any]]:
    return [one for _, lists in flats[:SAMPLE] for one in lists.get(path, ())[:SAMPLE]][:SAMPLE]


def _down(flats: Sequence[tuple[dict[str, str], dict[str, list[dict[str, Any]]]]], depth: int) -> str | None:
    """The list of records to go down into: it names columns that the records lack, and all figures that they have."""
    own = _known([values for values, _ in flats[:SAMPLE]])
    best, most = None, 0
    for path in dict.fromkeys(path for _, lists in flats[:SAMPLE] for path in lists):
        inner = _known(_rows(_sample(flats, path), depth + 1).rows)
        brings = len(inner - own)
        if brings > most and inner & {"date", *NUMBERS} and own & set(NUMBERS) <= inner:
            best, most = path, brings
    return best


def _known(rows: Sequence[Mapping[str, str]]) -> set[str]:
    """Which of a history's columns rows have."""
    paths = dict.fromkeys(path for row in rows[:SAMPLE] for path in row)
    return {column for path in paths if (column := column_of(short(path)))}


def _money(rows: Sequence[Mapping[str, str]]) -> float:
    spend = [value for row in rows for path, value in row.items() if column_of(short(path)) == "spend"]
    return float(np.nansum(numbers.values(spend))) if spend else 0.0


def _header(rows: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """All paths, and how each is called: short where no other would be called so."""
    paths = list(dict.fromkeys(path for row in rows for path in row))
    if len(paths) > MOST_FIELDS:
        raise DataError(
            f"data.path: its records have {len(paths):,} names of fields ({', '.join(paths[:3])}, …), and a table has "
            "no such number of columns; export a record for each day, with the same fields"
        )
    called = {path: short(path) for path in paths}
    count = Counter(map(plain, called.values()))
    return {path: name if count[plain(name)] == 1 else path for path, name in called.items()}


def _common(document: Any) -> dict[str, str]:
    """What a document says above its rows of all of them: its platform, campaign and currency."""
    if not isinstance(document, dict):
        return {}
    found: dict[str, str] = {}
    for path, value in flat(document)[0].items():
        name = path.rpartition(".")[2]
        if value and (
            plain(name) in {"platform", "campaign"} or (currencies.is_column(name) and currencies.is_code(value))
        ):
            found.setdefault(name, value)
    return found


def _is_empty(node: Any, depth: int = 0) -> bool:
    """Whether a list in the place of rows is there, and none has anything."""
    if isinstance(node, list):
        return not node or all(_is_empty(one, depth + 1) for one in node)
    if not isinstance(node, dict) or depth >= DEEPEST:
        return False
    return any(
        _is_empty(one, depth + 1) for name, one in node.items() if name.lower() in (*NEUTRAL, *ROWS_OF) or len(node) < 3
    )
