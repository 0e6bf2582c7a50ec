"""Histories of `benchmarks.field` as rows of a table: what a reader needs to compute means and intervals again.

A row is a list in the order of `columns`; a history that was refused has `null` where nothing was answered.
"""

from __future__ import annotations

import json
from typing import Any

DIGITS = 6
"""Significant digits that are kept."""
REGRET = ("recommended", "today", "log-log", "PyMC-Marketing")
DECISION = ("accepted", "probability", "gain", "best gain", "best gain without probes")
ALONE = ("promised over earned", "today told over today", "cpu s")
INTERVAL = ("hits", "of", "width")


def columns(asked: list[str]) -> list[str]:
    """Names of a row's values.

    Args:
        asked: what 95 % intervals were asked for. Of each: how many hold the truth, of how many, and their mean width
            over the truth.
    """
    return [
        "kind",
        "seed",
        "refused",
        *(f"regret: {who}" for who in REGRET),
        *DECISION,
        *ALONE,
        *(f"{what}: {name}" for what in asked for name in INTERVAL),
    ]


def rows(histories: list[dict[str, Any]]) -> dict[str, Any]:
    """`columns` and `rows` of histories as `benchmarks.field.history` gives them."""
    asked = next((list(one["intervals"]) for one in histories if one["refused"] is None), [])
    return {"columns": columns(asked), "rows": [_row(one, asked) for one in histories]}


def _row(one: dict[str, Any], asked: list[str]) -> list[Any]:
    decision, intervals = one.get("decision", {}), one.get("intervals", {})
    held = [_interval(intervals.get(what)) for what in asked]
    return [
        one["kind"],
        one["seed"],
        one["refused"],
        *(_short(one["regret"].get(who)) for who in REGRET),
        *(_short(decision.get(name)) for name in DECISION),
        *(_short(one.get(name)) for name in ALONE),
        *(value for found in held for value in found),
    ]


def _interval(found: dict[str, float] | None) -> list[Any]:
    if found is None:
        return [None] * len(INTERVAL)
    return [round(found["covered"] * found["of"]), found["of"], _short(found["width"])]


def _short(value: Any) -> Any:
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value


def dumped(result: dict[str, Any]) -> str:
    """A result with its histories, as `benchmarks.field.measure` gives it, in JSON: each history on a line."""
    table = rows(result["histories"])
    lines = ",\n".join("  " + json.dumps(row) for row in table["rows"])
    last = f'{{\n  "columns": {json.dumps(table["columns"])},\n  "rows": [\n{lines}\n  ]\n }}'
    whole = {name: part for name, part in result.items() if name != "histories"}
    return json.dumps(whole, indent=1)[: -len("\n}")] + f',\n "histories": {last}\n}}'
