"""How late the conversions of served campaigns come, by the bundle that serves.

Shapes: C cycles, P platforms, D + 1 cycles of delay; those of `crossmix.market.level_evidence`.
"""

from __future__ import annotations

from collections.abc import Sequence
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

    Args:
        live: the server.
    """

    def __init__(self, live: Guarded) -> None:
        self.live = live
        self._of: tuple[str, float, dict[str, Array]] = ("", 0.0, {})

    def of(self, campaign: str, cycle_hours: float) -> Array | None:
        """Probability that a conversion comes d cycles after its click, (P, D + 1), of an account that ran before;
        `None`: the bundle does not tell, or of cycles of another length, or they come at once, or it is of a log of
        impressions.

        Raises:
            UsualError: the bundle's file is not of this version.
        """
        bundle = self.live.bundle
        if self._of[0] != bundle.digest:
            self._of = bundle.digest, *_laws(bundle, self.live.platforms)
        _, hours, laws = self._of
        return laws.get(campaign) if abs(cycle_hours - hours) < EQUAL_HOURS else None


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


def _laws(bundle: Bundle, platforms: Sequence[str]) -> tuple[float, dict[str, Array]]:
    """Hours of a cycle, and the law of each campaign that has one."""
    file = bundle.extra("usual.npz")
    if file is None:
        return 0.0, {}
    from crossmix.market import usual_file

    named = usual_file.load(file)
    # Only an account whose totals were fitted has an elasticity of its own.
    if tuple(named.platforms) != tuple(platforms) or not bool((named.usual.elasticity > 0).any()):
        return 0.0, {}
    law_CPD = named.usual.delay_DCP.permute(1, 2, 0).numpy()
    return 24 * named.usual.days, {
        name: law_PD for name, law_PD in zip(named.campaigns, law_CPD, strict=True) if bool(np.any(law_PD[:, 1:] > 0))
    }


__all__ = ["Late", "due"]
