"""How every page writes a number, a percentage, an interval or a moment: what is undefined is an en dash."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from crossmix import metrics

if TYPE_CHECKING:
    from crossmix.artifacts import Interval

DASH = "–"
MINUS = "−"
THIN = "\u202f"
"""A thin space that does not break."""


def finite(value: Any) -> float | None:
    """`value` as a float; `None` where it is absent, not a number or infinite."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def number(value: Any, digits: int = 3) -> str:
    """So many significant digits and whole units from a thousand on, thousands apart by a thin space."""
    plain = finite(value)
    if plain is None:
        return DASH
    if plain == 0:
        return "0"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(plain))))
    return _typeset(f"{plain:.{digits - 1}e}" if decimals > 7 else f"{plain:,.{decimals}f}")


def signed(value: Any, digits: int = 3) -> str:
    """A number whose plus is written."""
    plain = finite(value)
    return f"+{number(plain, digits)}" if plain is not None and plain > 0 else number(plain, digits)


def count(value: Any) -> str:
    """A whole number, thousands apart."""
    plain = finite(value)
    return DASH if plain is None else _typeset(f"{plain:,.0f}")


def prose(sentence: str) -> str:
    """A sentence that terminals print too, its thousands apart and its minus and percent signs as a page sets them."""
    apart = re.sub(r"(?<=\d),(?=\d{3}(?!\d))", THIN, sentence)
    return re.sub(r"(?<=\d) %", f"{THIN}%", re.sub(r"(?<![^\s(\[])-(?=\d)", MINUS, apart))


def money(value: Any) -> str:
    """An amount of money: whole units from 100 on, cents below."""
    plain = finite(value)
    return DASH if plain is None else count(plain) if abs(plain) >= 99.995 else decimal(plain, 2)


def decimal(value: Any, decimals: int = 3) -> str:
    """So many decimals, whatever its size: a column of ratios near 1 lines up."""
    plain = finite(value)
    return DASH if plain is None else _typeset(f"{plain:,.{decimals}f}")


def percent(value: Any, digits: int = 3) -> str:
    """A fraction as a percentage with so many significant digits."""
    plain = finite(value)
    return DASH if plain is None else f"{number(100 * plain, digits)}{THIN}%"


def share(value: Any) -> str:
    """A fraction as a percentage with one decimal: a column of shares lines up."""
    plain = finite(value)
    return DASH if plain is None else f"{decimal(100 * plain, 1)}{THIN}%"


def change(value: Any) -> str:
    """A relative change as a signed percentage with one decimal."""
    plain = finite(value)
    if plain is None:
        return DASH
    return f"0{THIN}%" if plain == 0 else _typeset(f"{100 * plain:+.1f}{THIN}%")


def points(value: Any) -> str:
    """A difference of fractions in signed percentage points."""
    plain = finite(value)
    return DASH if plain is None else _typeset(f"{100 * plain:+.1f}")


def compact(value: float) -> str:
    """A number for the axis of a chart: 1200 as 1.2k."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return _typeset(f"{value / size:.3g}{letter}")
    return _typeset(f"{value:.3g}")


def p_value(value: float) -> str:
    """A probability of chance, which below a thousandth says no more."""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def moment(iso: str | None) -> str:
    """Day and minute of an ISO 8601 moment."""
    return DASH if not iso else str(iso)[:16].replace("T", " ")


def interval(low: Any, high: Any, form: Callable[[Any], str] = number) -> str:
    """Both ends in one form; nothing where one is unknown."""
    return "" if finite(low) is None or finite(high) is None else f"{form(low)} to {form(high)}"


def lift(mean: float, low: float | None, high: float | None) -> str:
    """A relative change with its interval, in plain characters: for verdicts and terminals."""
    if low is None and high is None:
        return f"{mean:+.1%} (not yet bounded)"
    if low is None or high is None:
        return f"{mean:+.1%} ({f'at most {high:+.1%}' if low is None else f'at least {low:+.1%}'})"
    return f"{mean:+.1%} [{low:+.1%}, {high:+.1%}]"


def metric(key: str, value: Any, digits: int = 3) -> str:
    """A metric's or quantity's value in its own way (`crossmix.metrics`)."""
    one = metrics.METRIC.get(key) or metrics.QUANTITY[key]
    if one.format == "count":
        return count(value)
    return percent(value, digits) if one.format == "percent" else number(value, digits)


def estimate(row: Interval | None, form: Callable[[Any], str]) -> tuple[str, str]:
    """(mean, interval) in one form."""
    return (DASH, "") if row is None else (form(row.mean), interval(*row.ci95, form))


def _typeset(text: str) -> str:
    return text.replace(",", THIN).replace("-", MINUS)
