"""One record of JSON as a row's values: names of fields within fields joined by a dot, lists of kinds as columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from crossmix.schema import DataError
from crossmix.sources.history.columns import column_of
from crossmix.sources.history.json_text import DEEPEST, text_of

LISTED = 200
"""Characters of a list of values in a cell."""
_KINDS = ("action_type", "conversion_type", "event_name", "event", "type", "metric", "name", "key", "label")
_VALUES = ("value", "count", "total", "amount")
NEUTRAL = frozenset(
    (
        *("metrics", "metric", "stats", "segments", "dimensions", "insights", "attributes", "metadata", "data", "row"),
        *("record", "values", "fields", "node", "granularity", "timeseries", "report", "result", "results", "item"),
        *("timeseries_stat", "properties", "statistics", "performance", "_airbyte_data", "source", "payload"),
    )
)
"""Names of fields that hold others and say nothing of them."""


def flat(record: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, list[dict[str, Any]]]]:
    """A record's values and its lists of records, by path."""
    values: dict[str, str] = {}
    lists: dict[str, list[dict[str, Any]]] = {}
    waiting: list[tuple[str, Mapping[str, Any], int]] = [("", record, 0)]
    while waiting:
        prefix, fields, depth = waiting.pop()
        for key, value in fields.items():
            path = prefix + key.strip()
            if isinstance(value, str):
                values[path] = value
            elif isinstance(value, dict):
                day = _day(value)
                if day is not None:
                    values[path] = day
                elif depth < DEEPEST:
                    waiting.append((f"{path}.", value, depth + 1))
            elif isinstance(value, list):
                _enter(path, value, values, lists)
            else:
                values[path] = text_of(value)
    return values, lists


def _enter(path: str, items: list[Any], values: dict[str, str], lists: dict[str, list[dict[str, Any]]]) -> None:
    """A record's list: kinds with values as columns, records, or values in one cell."""
    if items and all(isinstance(one, dict) for one in items):
        pair = _pair(items)
        if pair is None:
            lists[path] = items
            return
        for one in items:
            name = f"{path}.{one[pair[0]]}"
            if name in values:
                raise DataError(
                    f"{path}: a record has {one[pair[0]]!r} twice ({values[name]} and {text_of(one[pair[1]])}), as "
                    "parts by device or window; export without that breakdown"
                )
            values[name] = text_of(one[pair[1]])
    elif items:
        values[path] = ", ".join(cell(one) for one in items[:LISTED])[:LISTED]


def _pair(items: Sequence[Mapping[str, Any]]) -> tuple[str, str] | None:
    """The fields of a kind and of its value, where a list is of such."""
    first = items[0]
    kind = next((name for name in _KINDS if isinstance(first.get(name), str)), None)
    value = next((name for name in _VALUES if isinstance(first.get(name), str)), None)
    if kind is None or value is None or any(column_of(name) for name in first if name not in (kind, value)):
        return None
    for one in items:
        if type(one.get(kind)) is not str or type(one.get(value)) is not str:
            return None
    return kind, value


def _day(fields: Mapping[str, Any]) -> str | None:
    """LinkedIn's `{"year": 2025, "month": 1, "day": 6}` as a date."""
    if {*fields} != {"year", "month", "day"}:
        return None
    parts = [fields[name] for name in ("year", "month", "day")]
    if not all(isinstance(part, str) and part.isdigit() and len(part) <= 4 for part in parts):
        return None
    return f"{int(parts[0]):04d}-{int(parts[1]):02d}-{int(parts[2]):02d}"


def cell(value: Any) -> str:
    return str(value)[:LISTED] if isinstance(value, dict | list) else text_of(value)


@lru_cache(maxsize=1 << 14)
def short(path: str) -> str:
    """A path without the names that say nothing: `metrics.spend` is `spend`."""
    if column_of(path):
        return path
    parts = path.split(".")
    while len(parts) > 1 and parts[0].lower() in NEUTRAL:
        parts = parts[1:]
    return ".".join(parts)
