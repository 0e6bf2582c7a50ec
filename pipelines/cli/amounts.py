"""Budgets as they are typed: an amount of money, or a change of today's."""

from __future__ import annotations

import math

from crossmix.config import ConfigError


def amount(text: str) -> tuple[float, bool]:
    """An amount of money, or a factor on today's budget and True.

    Raises:
        ConfigError: it is neither, or leaves nothing to spend.
    """
    relative = text.strip().endswith("%")
    try:
        number = float(text.strip().removesuffix("%"))
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ConfigError(f"--budget {text!r}: write an amount per cycle, as 1000, or a change of today's, as +30%")
    if relative and text.strip()[0] not in "+-":
        raise ConfigError(f"--budget {text!r}: write a change of today's budget with its sign, as +{text.strip()}")
    if (1 + number / 100 if relative else number) <= 0:
        raise ConfigError(
            f"--budget {text!r}: leaves nothing to spend; give an amount above 0, or a change above -100%"
        )
    return (1 + number / 100, True) if relative else (number, False)
