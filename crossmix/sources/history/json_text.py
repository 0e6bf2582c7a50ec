"""JSON as text: its documents with every number as it stands, and what an API says instead of rows.

Figures stay text (`4.10`, `12345678901234567890`), so that none is rounded and all are judged by one convention with
those that an API writes as strings.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NoReturn

from crossmix.schema import DataError
from crossmix.sources.history.sheet import ROWS

DEEPEST = 12
"""Levels below which no table is looked for."""
_BEGINS = re.compile(r'\s*(?:\[\s*(?:[{\[]|\]\s*$)|\{\s*(?:"|\}\s*$))')
_BLANK = re.compile(r"[ \t\r\n]*")
_UNSEEN = re.compile("[\x00-\x1f\ud800-\udfff]")
"""Characters that escapes may name and no table has."""
_ERRORS = ("error", "errors", "fault", "exception")
_SAYS = ("message", "msg", "debug_message", "error_description", "error_message", "detail", "description", "reason")
_NEXT = frozenset(
    (
        *("next", "nextlink", "nextpagetoken", "nextpage", "nextcursor", "nexturl", "nexttoken", "pagetoken"),
        *("bookmark", "hasmore", "hasnext", "hasnextpage", "odatanextlink", "morerecords"),
    )
)
"""How APIs call what tells that more pages follow, without signs and case."""
_NOTHING = (None, "", False, "false", "0", "null")
_COUNTS = (("page", "totalpage"), ("page", "totalpages"), ("currentpage", "totalpages"))
_REACHES = (("startindex", "itemsperpage", "totalresults"), ("start", "count", "total"), ("offset", "limit", "total"))


def begins(text: str) -> bool:
    """Whether a text is JSON by how it begins: no table of lines begins with a bracket and a quote or a brace."""
    return _BEGINS.match(text[:2000].lstrip("\ufeff")) is not None


def documents(text: str, name: str) -> list[Any]:
    """Every document of a text, one after another: lists, mappings, `str` for strings and numbers, `bool`, `None`.

    Args:
        name: for errors.

    Raises:
        DataError: it is damaged, names a field twice, is nested too deeply or has too many documents.
    """
    text = text.lstrip("\ufeff")
    escaped = "\\u" in text

    def record(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            names = [key for key, _ in pairs]
            twice = next(key for key in found if names.count(key) > 1)
            raise DataError(f"{twice}: a record of {name!r} has it twice; export it again with one field of that name")
        return {_seen(key): _seen(value) for key, value in found.items()} if escaped else found

    decoder = json.JSONDecoder(
        object_pairs_hook=record, parse_int=str, parse_float=_decimals, parse_constant=lambda word: _constant(word)
    )
    found: list[Any] = []
    at = _skipped(text, 0)
    try:
        while at < len(text):
            document, end = decoder.raw_decode(text, at)
            found.append(document)
            at = _skipped(text, end)
            if len(found) > ROWS:
                raise DataError(f"data.path: {name!r} has more than {ROWS:,} records; add them up to days")
    except json.JSONDecodeError as error:
        where = f"line {error.lineno:,}, column {error.colno:,}"
        raise DataError(
            f"data.path: {name!r} is JSON that cannot be read ({error.msg}: {where}); it may have been cut off: "
            "fetch it again, or save it as .csv"
        ) from None
    except RecursionError:
        raise DataError(f"data.path: {name!r} is JSON nested too deeply for a table; save it as .csv") from None
    return found


def _skipped(text: str, at: int) -> int:
    blank = _BLANK.match(text, at)
    return blank.end() if blank else at


def _decimals(text: str) -> str:
    """A number's text; three decimals could be read as thousands, and get a zero."""
    return text + "0" if len(text.rpartition(".")[2]) == 3 and "e" not in text.lower() else text


def _constant(word: str) -> str | None:
    return None if word == "NaN" else word


def _seen(value: Any) -> Any:
    return _UNSEEN.sub(" ", value) if isinstance(value, str) else value


def text_of(value: Any) -> str:
    """A value as a cell's text."""
    if isinstance(value, str):
        return value
    return "" if value is None else str(value).lower()


def complaint(page: Mapping[str, Any]) -> str | None:
    """What an API says has gone wrong, in a document that is a page and no record."""
    value = next((page[name] for name in page if name.lower() in _ERRORS and page[name]), None)
    if value in (None, "false", "0", "null", "none", "None"):
        return None
    return value[:200] if isinstance(value, str) else _said(value) or text_of(value)[:200]


def message(page: Any) -> str | None:
    """A message in a document without rows."""
    pages = page if isinstance(page, list) else [page]
    return next((said for one in pages[:3] if isinstance(one, dict) and (said := complaint(one) or _said(one))), None)


def describes(page: Any) -> bool:
    """Whether a document is a description of something else, as `package.json`, and no message: it says no error."""
    if not isinstance(page, dict) or complaint(page):
        return False
    said = {name.lower() for name in page}.intersection(_SAYS)
    return said <= {"description", "detail", "reason"} and not {"code", "status"} & {name.lower() for name in page}


def _said(value: Any, depth: int = 0) -> str | None:
    """The first message in a value."""
    if isinstance(value, list):
        return next((said for one in value[:3] if (said := _said(one, depth + 1))), None) if depth < 4 else None
    if not isinstance(value, dict) or depth > 4:
        return None
    for name in _SAYS:
        if isinstance(value.get(name), str) and value[name]:
            return str(value[name])[:200]
    inner = [one for one in value.values() if isinstance(one, dict | list)]
    return next((said for one in inner if (said := _said(one, depth + 1))), None)


def goes_on(page: Mapping[str, Any]) -> str | None:
    """What tells that a page is not the last, as `paging.next`; `None`: nothing does."""
    for path, fields in _mappings(page, "", 0):
        plain = {re.sub(r"[\W_]", "", key.lower()): (key, value) for key, value in fields.items()}
        for name, (key, value) in plain.items():
            if name in _NEXT and value not in _NOTHING and not isinstance(value, dict | list):
                return f"{path}{key}"
        for one, last in _COUNTS:
            if (numbers := _numbers(plain, one, last)) and numbers[0] < numbers[1]:
                return f"{path}{plain[one][0]} {numbers[0]} of {numbers[1]}"
        for first, size, all_ in _REACHES:
            if (numbers := _numbers(plain, first, size, all_)) and sum(numbers[:2]) < numbers[2]:
                return f"{path}{plain[all_][0]} {numbers[2]:,}"
        links = fields.get("links")
        if isinstance(links, list) and any(isinstance(one, dict) and one.get("rel") == "next" for one in links):
            return f"{path}links"
    return None


def _mappings(node: Mapping[str, Any], path: str, depth: int) -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield path, node
    for key, value in node.items():
        if isinstance(value, dict) and depth < 3:
            yield from _mappings(value, f"{path}{key}.", depth + 1)


def _numbers(plain: Mapping[str, tuple[str, Any]], *names: str) -> list[int] | None:
    values = [str(plain[name][1]) if name in plain else "" for name in names]
    return list(map(int, values)) if all(re.fullmatch(r"\d{1,9}", value) for value in values) else None


def refuse(name: str, said: str) -> NoReturn:
    """Raise `DataError` for an API's error message."""
    raise DataError(
        f"data.path: {name!r} is an API's error message and no rows ({' '.join(said.split())!r}); mend the request "
        "and fetch it again"
    )
