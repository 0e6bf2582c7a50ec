"""What delivery is counted in and the ratios made of it: key, label, formula, format and direction, defined once.

Quantities are sums over impressions; a metric is the ratio of two of them. Pages, verdicts, gates and benchmarks choose
from here by key and define none of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

Format = Literal["ratio", "percent", "money", "count"]
"""How a value is written: a plain number, a percentage, an amount of the campaign's currency, a whole number."""
Direction = Literal["more", "less", "none"]
"""Which change is an improvement; `none`: neither says anything by itself."""

Arm = Literal["policy", "control"]
ARMS: tuple[str, str] = get_args(Arm)
"""Of an experiment, in this order in every array and table."""
CANARY = "canary"
"""The arm of a version on trial: a part of the policy's users (`crossmix.terms`)."""
ServedArm = Literal["policy", "control", "canary"]
EVERY_ARM: tuple[str, ...] = (*ARMS, CANARY)
"""Whoever is served and reports; an experiment compares `ARMS`."""
QUANTITIES = ("spend", "impressions", "clicks", "conversions", "revenue")
"""Measured, in this order in every array; spend and revenue in the campaign's currency."""
PLANNED = "planned"
"""Budget that was to be spent, currency."""
AMOUNTS = (PLANNED, *QUANTITIES)


@dataclass(frozen=True, slots=True)
class Quantity:
    """A sum over impressions, the budget planned for them, or another figure that is no ratio of two sums."""

    key: str
    label: str
    format: Format


@dataclass(frozen=True, slots=True)
class Metric:
    """A ratio of two quantities."""

    key: str
    label: str
    definition: str
    """The formula in words."""
    format: Format
    direction: Direction
    numerator: str
    """Key of a quantity."""
    denominator: str
    """Key of a quantity; of `share` that of all platforms together."""

    def divide(self, amounts: Mapping[str, Any]) -> Any:
        """Numerator over denominator of numbers or arrays, as their own division gives it."""
        return amounts[self.numerator] / amounts[self.denominator]

    def of(self, amounts: Mapping[str, Any]) -> float | None:
        """The ratio of plain sums; `None` where nothing is to divide by."""
        return self.divide(amounts) if amounts[self.denominator] > 0 else None


QUANTITY: dict[str, Quantity] = {
    quantity.key: quantity
    for quantity in (
        Quantity(PLANNED, "Planned budget", "money"),
        Quantity("spend", "Spend", "money"),
        Quantity("impressions", "Impressions", "count"),
        Quantity("clicks", "Clicks", "count"),
        Quantity("conversions", "Conversions", "count"),
        Quantity("revenue", "Revenue", "money"),
    )
}
METRIC: dict[str, Metric] = {
    metric.key: metric
    for metric in (
        Metric("roi", "ROI", "revenue / planned budget", "ratio", "more", "revenue", PLANNED),
        Metric("roas", "ROAS", "revenue / spend", "ratio", "more", "revenue", "spend"),
        Metric("cpa", "CPA", "spend / conversion", "money", "less", "spend", "conversions"),
        Metric("cpc", "CPC", "spend / click", "money", "less", "spend", "clicks"),
        Metric("ctr", "CTR", "clicks / impressions", "percent", "none", "clicks", "impressions"),
        Metric("cvr", "CVR", "conversions / clicks", "percent", "none", "conversions", "clicks"),
        Metric("utilisation", "Utilisation", "spend / planned budget", "percent", "none", "spend", PLANNED),
        Metric("share", "Share", "mean share of the cycle budget", "percent", "none", PLANNED, PLANNED),
    )
}
DYNAMIC_REWARD = Quantity("dynamic_reward", "Reward, eq. 10", "ratio")
"""Mean of `crossmix.reward.dynamic` over cycles: told beside revenue, and judged by nobody."""
RATIOS = tuple(key for key in METRIC if key != "share")
"""Keys of what follows from one row's quantities."""
JUDGED = ("roi", "roas", "cpa", "ctr", "cvr", "utilisation")
"""Keys of what policies and arms are compared by, in this order."""


def title(key: str) -> str:
    """Label of a metric or quantity."""
    return METRIC[key].label if key in METRIC else QUANTITY[key].label


def formula(*keys: str) -> str:
    """The metrics' definitions as a sentence: "ROAS is revenue / spend, utilisation spend / planned budget"."""
    first, *others = (METRIC[key] for key in keys)
    return ", ".join(
        [f"{first.label} is {first.definition}", *(f"{inside(one.key)} {one.definition}" for one in others)]
    )


def inside(key: str) -> str:
    """A metric's or quantity's label within a sentence."""
    label = title(key)
    return label if label.isupper() else label.lower()


def ratios(amounts: Mapping[str, Any], keys: Iterable[str] = RATIOS) -> dict[str, float | None]:
    """The metrics that these sums have; `None` where nothing is to divide by."""
    return {key: METRIC[key].of(amounts) for key in keys}
