"""How late the conversions of served campaigns come, by the bundle that serves.

Shapes: C cycles, P platforms, D + 1 cycles of delay; those of `crossmix.market.level_evidence`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from crossmix.bundle import Bundle
    from serving.feedback.guard import Guarded

Array = NDArray[Any]
EQUAL_HOURS = 1e-6


class Late:
    """The laws of the bundle that serves, read once each.

    A history's delay is its account's: a campaign that the history does not name (a new one, or the account itself
    under a name of its own, where the history names none) has it too, so that its clicks are not held against
    conversions that are not due yet.

    Args:
        live: the server.
    """

    def __init__(self, live: Guarded) -> None:
        self.live = live
        self._laws: tuple[str, _Laws] = ("", _Laws())

    def of(self, campaign: str, cycle_hours: float) -> Array | None:
        """Probability that a conversion comes d cycles after its click, (P, D + 1), of an account that ran before;
        `None`: the bundle does not tell, or of cycles that are no whole number of the bundle's, or they come at once,
        or it is of a log of impressions.

        Raises:
            UsualError: the bundle's file is not of this version.
        """
        bundle = self.live.bundle
        if self._laws[0] != bundle.digest:
            self._laws = bundle.digest, _laws(bundle, self.live.platforms)
        laws = self._laws[1]
        law_PD = laws.by_campaign.get(campaign, laws.account_PD)
        times = cycle_hours / laws.hours if laws.hours else 0.0
        whole = round(times)
        if law_PD is None or whole < 1 or abs(times - whole) * laws.hours >= EQUAL_HOURS:
            return None
        return _of_longer(law_PD, whole)


@dataclass(frozen=True, slots=True, eq=False)
class _Laws:
    """Of a bundle."""

    hours: float = 0.0
    """Of a cycle."""
    by_campaign: Mapping[str, Array | None] = field(default_factory=dict)
    """`None`: its conversions come at once."""
    account_PD: Array | None = None
    """Of a campaign that the bundle does not know: the mean of those that it knows, which are the same where one
    account was fitted."""


def _of_longer(law_PD: Array, times: int) -> Array:
    """The law in cycles so many times as long, clicks even within each."""
    platforms, lags = law_PD.shape
    longer_PD = np.zeros((platforms, (lags + times - 2) // times + 1))
    for click in range(times):
        for lag in range(lags):
            longer_PD[:, (click + lag) // times] += law_PD[:, lag] / times
    return longer_PD


def due(clicks_CP: Array, known_CP: NDArray[np.bool_], delay_PD: Array) -> Array:
    """Clicks that conversions of each cycle are due of, (C, P): `crossmix.history.due` of the cycles up to it; none
    where a cycle is not known."""
    import torch

    from crossmix import history

    told_C1P = torch.from_numpy(np.where(known_CP, clicks_CP, np.nan))[:, None]
    law_D1P = torch.from_numpy(np.ascontiguousarray(delay_PD.T))[:, None]
    found_CP = np.zeros(clicks_CP.shape)
    for cycle in range(len(found_CP)):
        past_D1P = told_C1P[max(cycle + 1 - len(law_D1P), 0) : cycle + 1].flip(0)
        found_CP[cycle] = history.due(past_D1P, law_D1P)[0].numpy()
    return np.where(known_CP, found_CP, 0.0)


def _laws(bundle: Bundle, platforms: Sequence[str]) -> _Laws:
    """Hours of a cycle, and the laws of its campaigns."""
    file = bundle.extra("usual.npz")
    if file is None:
        return _Laws()
    from crossmix.market import usual_file

    named = usual_file.load(file)
    # Only an account whose totals were fitted has an elasticity of its own.
    if tuple(named.platforms) != tuple(platforms) or not bool((named.usual.elasticity > 0).any()):
        return _Laws()
    law_CPD = named.usual.delay_DCP.permute(1, 2, 0).numpy()
    late_C = np.asarray((law_CPD[:, :, 1:] > 0).any((1, 2)))
    return _Laws(
        24 * named.usual.days,
        {name: law_PD if late else None for name, law_PD, late in zip(named.campaigns, law_CPD, late_C, strict=True)},
        law_CPD.mean(0) if late_C.any() else None,
    )


__all__ = ["Late", "due"]
