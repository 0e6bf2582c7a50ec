"""Tables that JSON holds otherwise than as a list of records: by column, by key, as cells below names.

Of pandas (`to_json` in every orientation), the Google Sheets, Analytics and BigQuery APIs, and tools for
dashboards; each is turned into records.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from crossmix.schema import DataError
from crossmix.sources.history import dates, stamps
from crossmix.sources.history.json_text import DEEPEST, text_of
from crossmix.sources.history.sheet import Score

KEY = "key"
"""The column of a mapping's keys that are no days."""
_NAMES = ("name", "displayName", "display_name", "label", "fieldName", "id")
Records = list[dict[str, Any]]


def records(node: Mapping[str, Any], score: Score) -> Records | None:
    """A mapping's table as records; `None`: it is none of these forms.

    Raises:
        DataError: its columns are not equally long, or a row is none.
    """
    forms: tuple[Callable[[Mapping[str, Any], Score], Records | None], ...]
    forms = (_analytics, _bigquery, _cells, _columns, _columns_by_key, keyed)
    return next((found for form in forms if (found := form(node, score)) is not None), None)


def named_cells(lines: Sequence[Any], names: Sequence[str]) -> Records:
    """Lists of cells as records; what stands beyond the names is left to `_cells` to refuse."""
    return [dict(zip(names, line, strict=False)) for line in lines if isinstance(line, list)]


def _analytics(node: Mapping[str, Any], score: Score) -> Records | None:
    """A report of Google Analytics: names of dimensions and metrics above rows of values."""
    rows = node.get("rows")
    if not isinstance(rows, list) or "metricHeaders" not in node:
        return None
    names = [_names(node.get(key)) or [] for key in ("dimensionHeaders", "metricHeaders")]
    return [
        {
            name: cell.get("value") if isinstance(cell, dict) else cell
            for own, key in zip(names, ("dimensionValues", "metricValues"), strict=True)
            for name, cell in zip(own, row.get(key) or (), strict=False)
        }
        for row in rows
        if isinstance(row, dict)
    ]


def _bigquery(node: Mapping[str, Any], score: Score) -> Records | None:
    """A page of BigQuery's API: `schema.fields` and rows `{"f": [{"v": …}]}`."""
    rows, schema = node.get("rows"), node.get("schema")
    names = _names(schema.get("fields")) if isinstance(schema, dict) else None
    if not names or not isinstance(rows, list) or not all(isinstance(row, dict) and "f" in row for row in rows):
        return None
    cells = [[cell.get("v") if isinstance(cell, dict) else cell for cell in row["f"] or ()] for row in rows]
    return named_cells(cells, names)


def _cells(node: Mapping[str, Any], score: Score) -> Records | None:
    """Lists of cells beside a list of as many names: pandas' `split`, tools for dashboards."""
    tables = [value for value in node.values() if _is_cells(value)]
    if len(tables) != 1:
        return None
    lines = [line for line in tables[0] if line is not None]
    width = max(len(line) for line in lines if isinstance(line, list))
    lists = [value for value in node.values() if isinstance(value, list) and value is not tables[0]]
    lists += [value["fields"] for value in node.values() if isinstance(value, dict) and "fields" in value]
    found = [names for value in lists if (names := _names(value)) and len(names) == width]
    best = max(found, key=score, default=None)
    if not best:
        return None
    odd = next((at for at, line in enumerate(lines) if not isinstance(line, list)), None)
    if odd is not None:
        raise DataError(
            f"data.path: in the list of rows number {odd + 1} ({text_of(lines[odd])[:60]!r}) is no list of cells as "
            "the others are; take it out, or export again"
        )
    return named_cells(lines, best)


def _is_cells(value: Any) -> bool:
    """A list of lists; of few of them all are looked at, of many some."""
    return isinstance(value, list) and bool(value) and all(isinstance(line, list) for line in value[:50])


def _names(value: Any) -> list[str] | None:
    """Names of columns: texts, or records with one."""
    if not isinstance(value, list) or not value:
        return None
    names = [
        next((one[key] for key in _NAMES if isinstance(one.get(key), str)), None) if isinstance(one, dict) else one
        for one in value
    ]
    return [name for name in names if isinstance(name, str)] if all(isinstance(n, str) for n in names) else None


def _columns(node: Mapping[str, Any], score: Score) -> Records | None:
    """A list of values for each column: `{"date": […], "spend": […]}`."""
    lists = {
        key: value
        for key, value in node.items()
        if isinstance(value, list) and not any(isinstance(one, dict | list) for one in value)
    }
    if len(lists) < 3 or score(list(lists)) < 3:
        return None
    sizes = {key: len(value) for key, value in lists.items()}
    if len(set(sizes.values())) > 1:
        shown = ", ".join(f"{key} {size:,}" for key, size in list(sizes.items())[:6])
        raise DataError(f"data.path: its columns have different numbers of values ({shown}); export it again")
    return [dict(zip(lists, line, strict=True)) for line in zip(*lists.values(), strict=True)]


def _columns_by_key(node: Mapping[str, Any], score: Score) -> Records | None:
    """A mapping of values for each column, by row: `{"date": {"0": …}, "spend": {"0": …}}`, pandas' default."""
    columns = {key: value for key, value in node.items() if _is_plain(value)}
    if len(columns) < 3 or len(columns) < len(node) or score(list(columns)) < 3:
        return None
    keys = list(dict.fromkeys(key for column in columns.values() for key in column))
    rows = [{name: column.get(key) for name, column in columns.items()} for key in keys]
    return _with_keys([[row] for row in rows], keys)


def _is_plain(value: Any) -> bool:
    return isinstance(value, dict) and bool(value) and not any(isinstance(one, dict | list) for one in value.values())


def keyed(node: Mapping[str, Any], score: Score, depth: int = 0) -> Records | None:
    """Records by a key that is a day or a name: `{"2025-01-06": {"google": {"spend": …}}}`, pandas' `index`."""
    if len(node) < 2 or depth > DEEPEST or not all(isinstance(value, dict | list) and value for value in node.values()):
        return None
    if score(list(node)) >= 2:
        return None  # its keys are columns
    inner = [set(value) for value in node.values() if isinstance(value, dict)]
    if inner and score(list(set.intersection(*inner))) < 2 and not all(map(_holds_alone, node.values())):
        return None  # parts of one record, as its dimensions and its metrics
    groups: list[Records] = []
    for value in node.values():
        if isinstance(value, list):
            if not _are_days(list(node)) or not all(isinstance(one, dict) for one in value):
                return None
            groups.append(value)
        elif score([key for key, one in value.items() if not isinstance(one, dict)]) >= 2:
            groups.append([value])
        else:
            found = keyed(value, score, depth + 1)
            if found is None:
                return None
            groups.append(found)
    return _with_keys(groups, list(node))


def _holds_alone(value: Any) -> bool:
    """A mapping that has nothing but mappings or lists."""
    return isinstance(value, list) or all(isinstance(one, dict | list) for one in value.values())


def _with_keys(groups: Sequence[Records], keys: Sequence[str]) -> Records:
    """Records of each key with it, but for numbers of rows."""
    if [*keys] == [str(at) for at in range(len(keys))]:
        return [row for rows in groups for row in rows]
    name = "date" if _are_days(keys) else KEY
    while any(name in row for rows in groups for row in rows[:1]):
        name = f"{name} {KEY}"
    return [{name: key, **row} for key, rows in zip(keys, groups, strict=True) for row in rows]


def _are_days(keys: Sequence[str]) -> bool:
    return dates.are_dates(keys) or bool(stamps.from_epoch(list(keys)))
