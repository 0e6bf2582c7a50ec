"""What makes a raw row invalid: the contract of `crossmix.schema` as Ibis expressions, for every engine.

A rejected row goes to the quarantine with the first rule it breaks; `code` is short and counted, `reason` names
field, value and rule. Input that is wrong as a whole (a missing column, a wrong type, no rows) is a `DataError`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from crossmix.schema import Column, DataError
from crossmix.sources import Table
from crossmix.sources.late import ibis

PROBLEM = "problem"
"""Column in which an adapter says why a row's text does not parse: `<field>_wrong_type: <value> ...`; null: it does."""
CODE = "quarantine_code"


@dataclass(frozen=True, slots=True)
class Rule:
    """A row for which `broken` (an Ibis boolean; null counts as false) holds is quarantined under `code`."""

    broken: Any
    code: str
    fields: tuple[str, ...]
    text: str
    """Follows the fields and their values in the reason."""


def parse(table: Table, kinds: dict[str, str]) -> Table:
    """Text columns as values: what does not parse becomes null and is told in the `problem` column; `''` is null.

    Args:
        table: the columns named in `kinds` are strings.
        kinds: column to Ibis type name, or `flag`: 0 or 1, as a boolean. A `float64` must be finite: text may say
            `nan` or `inf`, which engines compare each in its own way.
    """
    parsed, problems = {}, []
    for name, kind in kinds.items():
        text = table[name].strip().nullif("")
        parsed[name] = value = _value(text, kind)
        wrong = "is not 0 or 1" if kind == "flag" else f"is not of type {kind}"
        problems.append(_problem(text.notnull() & value.isnull(), name, "wrong_type", text, wrong))
        if kind == "float64":
            endless = value.isnan() | value.isinf()
            parsed[name] = ibis.ifelse(endless, None, value)
            problems.append(_problem(endless, name, "not_finite", text, "must be a finite number"))
    problem = ibis.cases(*problems, else_=ibis.null("string")) if problems else ibis.null("string")
    return table.mutate(**parsed, **{PROBLEM: problem})


def _value(text: Any, kind: str) -> Any:
    if kind == "flag":
        return text.cases(("0", False), ("1", True), ("0.0", False), ("1.0", True), else_=ibis.null("boolean"))
    if kind == "timestamp":
        # Engines also read words, such as `infinity` and `epoch`.
        dated = text.re_search(r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}")
        return ibis.ifelse(dated, text, ibis.null("string")).try_cast("timestamp")
    return text.try_cast(kind)


def _problem(broken: Any, name: str, code: str, text: Any, rule: str) -> tuple[Any, Any]:
    """A condition, and what the `problem` column says where it holds."""
    return broken.fill_null(False), ibis.literal(f"{name}_{code}: {name} '") + text + ibis.literal(f"' {rule}")


def refuse(table: Table, name: str, broken: Any, code: str, rule: str) -> Table:
    """A rule of the adapter's own about the text column `name`: its rows go to the quarantine as `<name>_<code>`.

    Args:
        table: parsed, so that it has a `problem` column; a problem that is there stays.
        broken: an Ibis boolean; null counts as false.
        rule: follows the field and its value in the reason.
    """
    condition, reason = _problem(broken, name, code, table[name].cast("string").fill_null(""), rule)
    return table.mutate(**{PROBLEM: table[PROBLEM].fill_null(ibis.ifelse(condition, reason, ibis.null("string")))})


def conform(table: Table, columns: Sequence[Column], name: str) -> Table:
    """The contract's columns in its order and types; absent nullable ones filled with null; `problem` kept.

    Raises:
        DataError: a column is missing or of another type.
    """
    schema = table.schema()
    result = {}
    for column in columns:
        wanted = "timestamp" if column.kind == "timestamp" else column.kind
        if column.name not in schema:
            if not column.nullable:
                raise DataError(
                    f"{name}.{column.name}: column is missing; the table has {', '.join(schema)}. "
                    f"Add it ({column.kind}, {column.unit or 'true or false'}) or rename the one that holds it"
                )
            result[column.name] = ibis.null(wanted)
            continue
        if not _fits(schema[column.name], column.kind):
            raise DataError(
                f"{name}.{column.name}: column is of type {schema[column.name]}, the contract wants {column.kind} "
                f"({column.unit or 'true or false'}); convert it"
            )
        result[column.name] = table[column.name].cast(wanted)
    result[PROBLEM] = table[PROBLEM] if PROBLEM in schema else ibis.null("string")
    return table.select(**result)


def _fits(kind: Any, wanted: str) -> bool:
    """Whether a column of this Ibis type holds what the contract wants without guessing."""
    return bool(
        {
            "string": kind.is_string() or kind.is_integer(),
            "timestamp": kind.is_timestamp(),
            "float64": kind.is_numeric(),
            "boolean": kind.is_boolean(),
            "int64": kind.is_integer(),
            "binary": kind.is_binary(),
            "date": kind.is_date() or kind.is_timestamp(),
        }[wanted]
        or kind.is_null()
    )


def contract(table: Table, columns: Sequence[Column]) -> list[Rule]:
    """The rules that the contract's columns alone imply: not null, finite, within [low, high]."""
    rules: list[Rule] = []
    for column in columns:
        value = table[column.name]
        where = (column.name,)
        if not column.nullable:
            rules.append(Rule(value.isnull(), f"{column.name}_missing", where, "the contract wants a value"))
        if column.kind == "float64":
            infinite = value.isnan() | value.isinf()
            rules.append(Rule(infinite, f"{column.name}_not_finite", where, "must be a finite number"))
        if column.low is not None:
            code = f"{column.name}_negative" if column.low == 0 else f"{column.name}_below_{column.low:g}"
            rules.append(Rule(value < column.low, code, where, f"must be at least {column.low:g} ({column.unit})"))
        if column.high is not None:
            code = f"{column.name}_above_{column.high:g}"
            rules.append(Rule(value > column.high, code, where, f"must be at most {column.high:g} ({column.unit})"))
    return rules


def mark(table: Table, rules: Sequence[Rule]) -> Table:
    """Add `CODE`: the code of the first broken rule (a row that did not parse breaks that first), null if sound."""
    unparsed = (table[PROBLEM].notnull(), table[PROBLEM].split(":")[0])
    branches = [unparsed, *((rule.broken.fill_null(False), ibis.literal(rule.code)) for rule in rules)]
    return table.mutate(**{CODE: ibis.cases(*branches, else_=ibis.null("string"))})


def check_parsed(rejected: dict[str, int], rows: int, examples: Table, name: str) -> None:
    """A column of which more than half does not parse has the wrong type as a whole.

    Args:
        rejected: quarantine code to number of rows.
        examples: the marked table, to show one of them.

    Raises:
        DataError: naming the column and an example.
    """
    for code, count in rejected.items():
        if code.endswith("_wrong_type") and count > rows / 2:
            example = examples.filter(examples[CODE] == code).limit(1).to_pyarrow().to_pylist()[0][PROBLEM]
            raise DataError(
                f"{name}: {example.split(': ', 1)[1]}, nor are {count} of {rows} rows; "
                f"give the column {code.removesuffix('_wrong_type')} that type or name the right one so"
            )


def rejections(marked: Table, rules: Sequence[Rule], name: str) -> Iterator[dict[str, str]]:
    """The rows of the quarantine table for one marked table, in the order of their code and row."""
    by_code = {rule.code: rule for rule in rules}
    bad = marked.filter(marked[CODE].notnull())
    rows = []
    for batch in bad.to_pyarrow_batches():
        for row in batch.to_pylist():
            code, problem = row.pop(CODE), row.pop(PROBLEM)
            if code in by_code:
                rule = by_code[code]
                values = ", ".join(f"{field} {_plain(row[field])!r}" for field in rule.fields)
                reason = f"{values}: {rule.text}"
            else:
                reason = problem.split(": ", 1)[1]
            shown = {key: _plain(value) for key, value in row.items()}
            rows.append({"table": name, "row": json.dumps(shown), "reason": reason, "code": code})
    return iter(sorted(rows, key=lambda row: (row["code"], row["row"])))


def _plain(value: Any) -> Any:
    """A value as JSON can hold it."""
    if isinstance(value, bytes):
        return f"<{len(value)} bytes>"
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)
