"""The version on trial in a server: its bundle beside the champion's, and what its arm begins with.

The arm is a matter of the cycle (`crossmix.terms`), the bundle of the moment: a canary that ends is served the
champion's from then on, and its users are the policy's from the next cycle on. The bundle is fetched and verified like
the champion's; while it cannot be had, the champion serves the canary's users, and `trouble` says so.

The arm has a state of its own from its first finished cycle on. Before that it has the policy's; and the statistics of
its cycles go on from the policy's history, scaled to its part of the users, as if it had always been that large.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from crossmix.background import sentence
from crossmix.ledger.canaries import Canary
from crossmix.ledger.feedback import Increment
from crossmix.ledger.served import Split
from crossmix.metrics import ARMS, CANARY
from serving.live.champion import Champion, Serving

if TYPE_CHECKING:
    from crossmix.bundle import Bundle
    from crossmix.ledger.campaigns import Campaign
    from crossmix.registry.version import Version
    from serving.assignment.arms import Experiment

_log = logging.getLogger(__name__)
POLICY = ARMS[0]
Kept = tuple[Sequence[Increment], Collection[tuple[int, int]], Mapping[int, Split]]
"""Increments, complete cells and splits of a campaign's arm."""


class Trial:
    """The version on trial.

    Args:
        champion: the server's; its registry and its folder of bundles are the trial's too.
        experiment: as the server knows it.
    """

    def __init__(self, champion: Champion, experiment: Callable[[], Experiment]) -> None:
        self._champion, self._experiment = champion, experiment
        self._current: Serving | None = None
        self._told: tuple[int, str] = (-1, "")
        self.trouble: str | None = None
        self.since: float | None = None

    # ---- what serves -------------------------------------------------------------------------------------------------

    def serving(self, begins: datetime | None) -> Serving:
        """What answers the canary's users in a cycle that began then: the version on trial, else the champion."""
        experiment, current = self._experiment(), self._current
        tried = experiment.tried
        if tried is None or begins is None or current is None or current.bundle.digest != tried.bundle:
            return self._champion.current
        mine = experiment.canary(begins)
        return current if mine is not None and mine.id == tried.id else self._champion.current

    @property
    def version(self) -> int | None:
        """On trial and there to answer; `None`: none is."""
        tried, current = self._experiment().tried, self._current
        return current.version if tried and current and current.bundle.digest == tried.bundle else None

    def fetch(self, name: str | int) -> tuple[Version, Bundle]:
        """A version by number or alias, and its bundle, verified; raises what the registry does, and `BundleError`."""
        return self._champion.fetch(name)

    def follow(self) -> None:
        """Have the bundle of the canary that runs. Trouble is kept, not raised."""
        tried = self._experiment().tried
        if tried is None:
            self._champion.spare = self._current = self.trouble = self.since = None
            return
        if self._current is not None and self._current.bundle.digest == tried.bundle:
            return
        try:
            bundle = self._champion.bundle_of(tried.version, tried.bundle)
        except Exception as error:  # MLflow's stores raise their own kinds each
            if self.trouble is None:
                self.since = time.time()
                _log.warning("canary: version %s: %s", tried.version, sentence(error))
            self.trouble = f"version {tried.version} is not there, the champion serves its users: {sentence(error)}"
            return
        self._current = Serving(bundle, tried.version, tried.began.timestamp())
        self._champion.spare = bundle.path
        self.trouble = self.since = None
        _log.info("canary: version %s, bundle %s", tried.version, bundle.digest[:12])

    # ---- what is told of it ------------------------------------------------------------------------------------------

    def tell(self, canary: Canary, detail: str) -> None:
        """How a canary stands, for `sentence`: whoever looks at it says so."""
        self._told = canary.id, detail

    def sentence(self) -> str | None:
        """The newest canary in a sentence, from memory; `None`: there was none."""
        canaries = self._experiment().canaries
        if not canaries:
            return None
        one = canaries[-1]
        steps = ", ".join(f"{part:.0%}" for part in one.parts)
        if one.ended is not None:
            return (
                f"Version {one.version}, on trial since {one.began:%Y-%m-%d}, was {one.outcome} on "
                f"{one.ended:%Y-%m-%d} in step {one.step + 1} of {steps}: {one.reason}."
            )
        told, detail = self._told
        stands = detail if told == one.id else "nothing is known of it yet"
        return (
            f"Version {one.version} is on trial since {one.began:%Y-%m-%d} with {one.part:.0%} of the policy's users, "
            f"step {one.step + 1} of {steps}: {stands}."
        )

    # ---- what its arm begins with ------------------------------------------------------------------------------------

    @property
    def began(self) -> float:
        """When the newest canary began, seconds; what its arm had before is another's."""
        canaries = self._experiment().canaries
        return canaries[-1].began.timestamp() if canaries else float("inf")

    def first(self, campaign: Campaign) -> int | None:
        """The first of the campaign's cycles that the canary that runs has; `None`: none runs."""
        tried = self._experiment().tried
        return None if tried is None else _first(tried, campaign)

    def weight(self, arm: str, campaign: Campaign, cycle: int) -> float:
        """The arm's part of users and budget in a cycle; the canary's before its first one: as in that."""
        experiment = self._experiment()
        if arm == CANARY and (first := self.first(campaign)) is not None:
            cycle = max(cycle, first)
        return experiment.part(arm, campaign.begins(cycle))

    def history(self, campaign: Campaign, policy: Kept, own: Kept) -> Kept:
        """What the canary's arm goes on from: the policy's history at its own size, and its own since it began.

        Args:
            policy, own: what the database holds of the two arms.
        """
        first = self.first(campaign)
        if first is None:
            return own

        def scale(cycle: int) -> float:
            whole = self.weight(POLICY, campaign, cycle)
            return self.weight(CANARY, campaign, first) / whole if whole > 0 else 0.0

        increments = [_scaled(one, scale(one.cycle)) for one in policy[0] if one.cycle < first]
        splits = {
            cycle: Split(one.share_P, one.budget * scale(cycle)) for cycle, one in policy[2].items() if cycle < first
        }
        return (
            [*increments, *(one for one in own[0] if one.cycle >= first)],
            {cell for cell in policy[1] if cell[0] < first} | {cell for cell in own[1] if cell[0] >= first},
            splits | {cycle: one for cycle, one in own[2].items() if cycle >= first},
        )


def _first(canary: Canary, campaign: Campaign) -> int:
    running = campaign.cycle(canary.began)
    return max(running if campaign.begins(running) >= canary.began else running + 1, 0)


def _scaled(one: Increment, by: float) -> Increment:
    conversions, revenue = one.arrived
    return replace(
        one, delivered=tuple(by * value for value in one.delivered), arrived=(by * conversions, by * revenue)
    )
