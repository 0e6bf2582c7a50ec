"""Whose plan a bundle's policy takes a campaign's for: in units of its budget the state tells money.

Shapes: D context, P platforms, S state.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossmix.bundle import Bundle
from crossmix.ledger.campaigns import Campaign

Array = NDArray[Any]


class Plans:
    """The plans, asked of each bundle once for each of the campaigns that it knows and once for all others."""

    def __init__(self) -> None:
        self._of: tuple[str, dict[str, str | None]] = ("", {})

    def whose(self, bundle: Bundle, campaign: Campaign, context_D: Array) -> str | None:
        """Name of the bundle's campaign whose plan answers for a campaign; `None`: the policy has no plan of it.

        Args:
            context_D: the campaign's; all that the bundle does not know have one.
        """
        digest, known = self._of
        if digest != bundle.digest:
            # Put in place as one: another thread's bundle may be another.
            known = {}
            self._of = bundle.digest, known
        name = campaign.campaign_id if campaign.campaign_id in bundle.contexts else ""
        if name not in known:
            known[name] = _whose(bundle, name, context_D)
        return known[name]

    def times(self, bundle: Bundle, campaign: Campaign, context_D: Array) -> float:
        """A campaign's budget of a cycle over that of the plan; 1 where the bundle has none in its currency.

        Args:
            context_D: as `whose`.
        """
        plan = bundle.plans.get(self.whose(bundle, campaign, context_D) or "")
        if plan is None or plan.currency != campaign.currency or plan.cycle_budget <= 0:
            return 1.0
        return campaign.cycle_budget / plan.cycle_budget


def _whose(bundle: Bundle, name: str, context_D: Array) -> str | None:
    if not bundle.tells_belief:
        return name if name in bundle.plans else None
    state_S = np.zeros(bundle.layout.size, np.float32)
    bundle.layout.context(state_S)[:] = context_D
    zero, one = (np.full((1, len(bundle.platforms)), edge, np.float32) for edge in (0.0, 1.0))
    beliefs = bundle.decision(state_S[None], zero, one).beliefs
    return None if beliefs is None else beliefs[0].usual
