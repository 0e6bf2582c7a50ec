"""What an allocation comes to: a campaign's platforms together, and all campaigns that run, by currency."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crossmix.allocate import Allocation
from crossmix.schema import Held


@dataclass(frozen=True, slots=True)
class Total:
    """A campaign's platforms together; money in its currency per cycle."""

    share: float
    amount: float
    expected_revenue: float
    held: float | None
    """Money that no split moves, at its plan; `None`: it is not this campaign's alone."""
    amount_and_held: float | None

    @classmethod
    def of(cls, split: Allocation, held: Sequence[Held], *, alone: bool) -> Total:
        """Of one campaign's split.

        Args:
            held: money that no split moves, of all campaigns together.
            alone: whether no other campaign is split beside it.
        """
        amount = math.fsum(one.amount for one in split.platforms)
        fixed = math.fsum(one.today for one in held) if alone or not held else None
        return cls(
            share=math.fsum(one.share for one in split.platforms),
            amount=amount,
            expected_revenue=math.fsum(one.expected_revenue for one in split.platforms),
            held=fixed,
            amount_and_held=None if fixed is None else amount + fixed,
        )


NOTHING = Total(share=0.0, amount=0.0, expected_revenue=0.0, held=None, amount_and_held=None)
"""Of a campaign that is over."""


@dataclass(frozen=True, slots=True)
class AllCampaigns:
    """Every campaign of one currency that was answered and runs, together; money per cycle."""

    currency: str
    campaigns: int
    budget: float
    platforms: Mapping[str, float]
    """Amount by platform, the largest first."""
    expected_revenue: float
    static_revenue: float
    """What the plans' static splits should earn in the same cycles."""
    held: float | None
    """Money that no split moves; `None`: campaigns of other currencies run too, and nothing tells whose it is."""

    def as_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON; each platform with its share of the budget."""
        return {
            "currency": self.currency,
            "campaigns": self.campaigns,
            "budget": self.budget,
            "platforms": [
                {"platform": name, "share": amount / self.budget, "amount": amount}
                for name, amount in self.platforms.items()
            ],
            "expected_revenue": self.expected_revenue,
            "static_revenue": self.static_revenue,
            "held": self.held,
            "budget_and_held": None if self.held is None else self.budget + self.held,
        }

    def table(self) -> str:
        """A paragraph for a terminal."""
        shown = ", ".join(f"{name} {part:,.2f} ({part / self.budget:.1%})" for name, part in self.platforms.items())
        fixed = ""
        if self.held:
            fixed = f"\nwith {self.held:,.2f} {self.currency} that is held: {self.budget + self.held:,.2f} in all"
        return (
            f"all {self.campaigns} campaigns that run: {self.budget:,.2f} {self.currency} for the next cycle: "
            f"{shown}{fixed}\n"
            f"expected revenue of the coming cycle {self.expected_revenue:,.2f} {self.currency} in all (the plans' "
            f"static splits: {self.static_revenue:,.2f}); the campaigns' errors are not independent, so that their "
            "intervals do not add up"
        )


def of_all(splits: Sequence[Allocation], held: Sequence[Held]) -> list[AllCampaigns]:
    """Totals of campaigns that run, one for each currency that any money is in, in the order of their names.

    Args:
        held: money that no split moves, of all campaigns together.
    """
    currencies = sorted({one.currency for one in splits})
    fixed = math.fsum(one.today for one in held) if len(currencies) == 1 or not held else None
    found = []
    for currency in currencies:
        own = [one for one in splits if one.currency == currency]
        budget = math.fsum(one.budget for one in own)
        if budget <= 0:
            continue
        by: dict[str, float] = {}
        for platform in (part for one in own for part in one.platforms):
            by[platform.platform] = by.get(platform.platform, 0.0) + platform.amount
        found.append(
            AllCampaigns(
                currency=currency,
                campaigns=len(own),
                budget=budget,
                platforms=dict(sorted(by.items(), key=lambda item: -item[1])),
                expected_revenue=math.fsum(one.expected_revenue for one in own),
                static_revenue=math.fsum(one.static_revenue for one in own),
                held=fixed,
            )
        )
    return found
