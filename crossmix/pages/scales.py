"""Scales, their round ticks, and how a tick is written."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class Scale:
    """From values to the part of an axis that lies before them, 0 at `low` to 1 at `high`, which may be the smaller."""

    low: float
    high: float
    log: bool = False

    def part(self, value: float) -> float:
        """How far along the axis a value lies."""
        low, high = self.low, self.high
        if self.log:
            low, high, value = (math.log(max(one, 1e-300)) for one in (low, high, value))
        return (value - low) / (high - low) if high != low else 0.5

    def ticks(self, most: int = 6) -> list[float]:
        """Round values within the scale, about `most` of them."""
        low, high = sorted((self.low, self.high))
        if not self.log:
            return stepped(low, high, round_step((high - low) / most))
        powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        marks = [[size * 10.0**power for power in powers for size in sizes] for sizes in ((1, 2, 5), (1, 3), (1,))]
        inside = [[value for value in each if low <= value <= high] for each in marks]
        return next((each for each in inside if len(each) <= most), inside[-1])


def round_step(rough: float) -> float:
    """1, 2, 2.5 or 5 times a power of ten, at least `rough`."""
    power = 10.0 ** math.floor(math.log10(max(rough, 1e-12)))
    return next(size * power for size in (1, 2, 2.5, 5, 10) if size * power >= rough * (1 - 1e-9))


def stepped(low: float, high: float, step: float) -> list[float]:
    """The multiples of a step from `low` to `high`."""
    return [k * step for k in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def whole_ticks(low: float, high: float, most: int = 6) -> list[tuple[float, str]]:
    """Whole numbers from `low` to `high`, about `most` of them, and how they are written."""
    step = max(1.0, math.ceil(round_step((high - low) / most)))
    return [(value, f"{value:.0f}".replace("-", "−")) for value in stepped(low, high, step)]


def plain(values: Sequence[float]) -> list[str]:
    """Ticks as plain numbers, with as many decimals as tell them apart: 0.85, 0.90, 0.95."""
    gaps = [abs(after - value) for value, after in pairwise(values)] or [abs(value) for value in values]
    digits = f"{min(gaps, default=1.0) or 1.0:.2e}"
    mantissa, _, exponent = digits.partition("e")
    decimals = max(len(mantissa.rstrip("0").partition(".")[2]) - int(exponent), 0)
    return [f"{value + 0.0:.{decimals}f}".replace("-", "−") for value in values]


def as_percent(value: float) -> str:
    """A tick as a percentage."""
    return f"{0.0 if abs(value) < 1e-12 else 100 * value:.4g}\u202f%".replace("-", "−")


@dataclass(frozen=True, slots=True)
class Axis:
    """A scale with its title and ticks."""

    scale: Scale
    title: str = ""
    form: Callable[[float], str] | None = None
    """How a tick is written; as a plain number if absent."""
    most: int = 6
    """About so many ticks."""
    ticks: Sequence[tuple[float, str]] | None = None
    """Value and label; round values of the scale if absent."""
    labelled: bool = True
    """Of panels that stand on each other only the lowest writes the labels; all keep the room that they need."""
    grid: bool = True
    """Lines across the panel at the ticks."""
    own: Collection[float] = ()
    """Ticks whose labels stand out."""

    def marks(self) -> Sequence[tuple[float, str]]:
        """Value and label of each tick."""
        if self.ticks is not None:
            return self.ticks
        values = self.scale.ticks(self.most)
        labels = [f"{value:g}" for value in values] if self.scale.log else plain(values)
        return list(zip(values, labels if self.form is None else map(self.form, values), strict=True))

    def ink(self, value: float) -> str:
        """Colour of a tick's label."""
        return "var(--accent)" if value in self.own else "var(--ink)"
