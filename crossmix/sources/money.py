"""Money that a public log lacks, as the config names it: an impression's cost, a click's or conversion's value."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import ibis

from crossmix.config import Data
from crossmix.schema import DataError

CURRENCY = "currency of the configured costs and values"
"""Unit of a log whose every amount comes from the config."""
HEX = "0123456789abcdef"
DIGITS = 8
"""Hexadecimal digits behind one uniform number: 32 bits."""


@dataclass(frozen=True, slots=True)
class Worth:
    """What earns, and how much."""

    by_click: bool
    """A click counts as the conversion."""
    value: float
    """Currency per conversion."""
    notes: tuple[str, ...]


def worth(data: Data, what: str, *, conversions: bool) -> Worth:
    """The configured value of a conversion or of a click.

    Args:
        what: the log's name, for errors and notes.
        conversions: whether the log has any to tell.

    Raises:
        DataError: none is configured, both are, or conversions are to earn in a log without them.
    """
    sale, click = data.value_per_conversion, data.value_per_click
    if sale is not None and click is not None:
        raise DataError(
            f"data.value_per_conversion, data.value_per_click: {sale:g} and {click:g} are both named, but either "
            "conversions earn or clicks do; drop one"
        )
    if sale is not None and not conversions:
        raise DataError(
            f"data.value_per_conversion: {sale:g}, but {what} has no conversions; let clicks earn instead: "
            "--set data.value_per_click=VALUE"
        )
    if sale is None and click is None:
        key = "value_per_conversion" if conversions else "value_per_click"
        instead = ", or a click with data.value_per_click" if conversions else ""
        raise DataError(
            f"data.{key}: {what} has no revenue; say what a {'conversion' if conversions else 'click'} is worth: "
            f"--set data.{key}=VALUE{instead}"
        )
    if click is not None:
        return Worth(
            True,
            click,
            (
                f"Revenue is imputed: each click is worth {click:g} (data.value_per_click) and counts as the "
                "conversion, so a conversion rate of 1 is by construction and tells nothing.",
            ),
        )
    assert sale is not None  # both being absent was refused above
    return Worth(False, sale, (f"Revenue is imputed: each conversion is worth {sale:g} (data.value_per_conversion).",))


@dataclass(frozen=True, slots=True)
class CostModel:
    """Law of the price paid per impression."""

    mu: float
    """Mean of the price's logarithm."""
    sigma: float
    """Its deviation; 0: every impression costs the same."""

    @property
    def mean(self) -> float:
        """Currency per impression."""
        return math.exp(self.mu + self.sigma**2 / 2)

    def price(self, key: Any) -> Any:
        """The price of each impression as an Ibis expression; it follows from `key` (its id) alone, in every engine."""
        if self.sigma == 0:
            return ibis.literal(math.exp(self.mu))
        # Box and Muller: two uniform numbers make one normal one.
        radius = (uniform(key, "cost radius ").ln() * -2).sqrt()
        normal = radius * (uniform(key, "cost angle ") * (2 * math.pi)).cos()
        return (normal * self.sigma + self.mu).exp()


def cost_model(data: Data, what: str) -> tuple[CostModel, str]:
    """The configured `data.cost_model`, and a note that says so.

    Raises:
        DataError: none is configured, or it cannot be read.
    """
    remedy = (
        "write constant:PRICE (per impression) or lognormal:MU,SIGMA (of the price's logarithm), as "
        "--set data.cost_model=constant:0.002"
    )
    if data.cost_model is None:
        raise DataError(f"data.cost_model: {what} has no costs, so a cost model must be named; {remedy}")
    kind, _, rest = data.cost_model.partition(":")
    try:
        numbers = [float(part) for part in rest.split(",")]
    except ValueError:
        numbers = []
    model = None
    if all(math.isfinite(number) for number in numbers):
        if kind.strip() == "constant" and len(numbers) == 1 and numbers[0] > 0:
            model = CostModel(math.log(numbers[0]), 0.0)
        elif kind.strip() == "lognormal" and len(numbers) == 2 and numbers[1] > 0 and max(map(abs, numbers)) <= 30:
            model = CostModel(*numbers)
    if model is None:
        raise DataError(f"data.cost_model: {data.cost_model!r} is not a cost model; {remedy}")
    return model, (
        f"The log has no costs: prices are imputed by the cost model {data.cost_model}, {model.mean:.4g} per "
        "impression on average, the same law on every platform; differences of cost between platforms are not in it."
    )


def uniform(key: Any, salt: str) -> Any:
    """A number in (0, 1) from the digest of a text column; the same in every engine."""
    digest = (ibis.literal(salt) + key).hexdigest("md5").lower()
    # Digit by digit: engines have no common way to read hexadecimal.
    digits = [ibis.literal(HEX).find(digest.substr(index, 1)) for index in range(DIGITS)]
    number: Any = sum(digit.cast("float64") * 16.0 ** -(index + 1) for index, digit in enumerate(digits))
    return number + 0.5 * 16.0**-DIGITS
