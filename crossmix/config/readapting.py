"""Settings of re-adaptation: what is tried when the market has moved, and what it must show (§2.3.2, 2.5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from crossmix.config.values import STRICT, Name, NonNegative, NonNegativeInt, PositiveInt

Gate = Literal["plausible", "levels", "arms", "predicts", "gain", "limits", "latency"]
"""Of re-adaptation, in the order of the table; its off-policy estimate is required once there is enough for one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Readapt:
    """Re-adaptation of a served policy to the market that its feedback tells."""

    __pydantic_config__ = STRICT
    cycles: PositiveInt = 60
    """Newest finished cycles of feedback that the market is refitted on."""
    held_out: PositiveInt = 7
    """Of them, the last ones, which the refitted market must predict no worse than the champion's."""
    updates: NonNegativeInt = 100
    """Pathwise updates of the re-planned policy in the refitted market; 0: the plan alone is made anew."""
    steps: NonNegativeInt = 24
    """Inner steps from the meta-trained start (eq. 7), one a simulated cycle; 0: not tried."""
    seeds: PositiveInt = 12
    """Simulated markets in which what was tried is compared, the same for all."""
    gain: NonNegative = 0.002
    """Least part of the oracle's revenue by which a challenger must be expected to earn more than the champion; else
    nothing changes."""
    required: tuple[Gate, ...] = get_args(Gate)
    """Gates that must pass; the others are told."""
    promote: Literal["canary", "directly", "never"] = "canary"
    """How a challenger becomes champion: by a canary that the server is asked for; directly, once registered; never:
    nothing is registered (a dry run)."""
    server: str | None = None
    """Server that is asked for the canary, as http://127.0.0.1:8080; null: nobody is, the challenger waits."""
    campaigns: tuple[Name, ...] = ()
    """Campaigns whose feedback counts; none named: all of the market's."""
    at: str | None = None
    """Market time up to which feedback is read, ISO 8601; null: now, by the clock of `serving.clock`."""
    run: str = ""
    """Id of the run: the same goes on from its finished steps, another reads ledger and registry anew."""
