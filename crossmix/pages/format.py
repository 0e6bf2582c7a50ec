"""Numbers, percentages, estimates and tables as every page writes them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

DASH = "–"


METRICS: tuple[tuple[str, str, str, bool | None], ...] = (
    ("roi", "ROI", "revenue / planned budget", True),
    ("roas", "ROAS", "revenue / spend", True),
    ("cpa", "CPA", "spend / conversion", False),
    ("ctr", "CTR", "clicks / impressions", None),
    ("cvr", "CVR", "conversions / clicks", None),
    ("utilisation", "Utilisation", "spend / planned budget", None),
    ("share", "Share", "mean share of the cycle budget", None),
)
"""Key, name, definition, and whether more is better (`None`: neither)."""


PERCENT = {"ctr", "cvr", "utilisation", "share", "win_rate"}


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell: its text, a second line in small type, and `kind`, a list of CSS classes."""

    text: str
    kind: str = ""
    small: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A table with its caption; the first column names the row."""

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    groups: tuple[tuple[str, int], ...] = ()
    """A line above the head: (name, columns) after the first column."""


def finite(value: Any) -> float | None:
    """`value` as a float; `None` where it is absent, not a number or infinite."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def number(value: Any, digits: int = 3) -> str:
    """So many significant digits, thousands apart by a thin space."""
    plain = finite(value)
    if plain is None:
        return DASH
    if plain == 0:
        return "0"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(plain))))
    if decimals > 7:
        return f"{plain:.{digits - 1}e}".replace("-", "−")
    return f"{plain:,.{decimals}f}".replace(",", "\u202f").replace("-", "−")


def count(value: Any) -> str:
    """A whole number, thousands apart."""
    plain = finite(value)
    return DASH if plain is None else f"{plain:,.0f}".replace(",", "\u202f")


def percent(value: Any, digits: int = 3) -> str:
    """A fraction as a percentage with so many significant digits."""
    plain = finite(value)
    return DASH if plain is None else f"{number(100 * plain, digits)}\u202f%"


def write(key: str, value: Any, digits: int = 3) -> str:
    """A metric's value in the metric's own way."""
    return percent(value, digits) if key in PERCENT else number(value, digits)


def estimate(row: Mapping[str, Any] | None, style: str = "ratio") -> tuple[str, str]:
    """(mean, interval) of {"mean", "ci95"}; `style`: ratio (three decimals), percent, points (signed), or number."""
    forms: dict[str, Callable[[Any], str]] = {"ratio": _ratio, "percent": percent, "points": _points, "number": number}
    form = forms[style]
    if not row:
        return DASH, ""
    low, high = (row.get("ci95") or [None, None])[:2]
    mean = form(row.get("mean"))
    return mean, "" if finite(low) is None or finite(high) is None else f"{form(low)} to {form(high)}"


def label(policies: Mapping[str, Any], name: str) -> str:
    """How a policy is called in the report."""
    return str(policies[name].get("label") or name.replace("_", " "))


def _signed_percent(value: Any) -> str:
    plain = finite(value)
    return DASH if plain is None else f"{100 * plain:+.1f}\u202f%".replace("-", "−")


def _pair(row: Mapping[str, Any] | None, style: str) -> Cell:
    mean, interval = estimate(row, style)
    return Cell(mean, "num", interval)


def _ratio(value: Any) -> str:
    return DASH if finite(value) is None else f"{value:.3f}"


def _points(value: Any) -> str:
    return DASH if finite(value) is None else f"{100 * value:+.1f}".replace("-", "−")
