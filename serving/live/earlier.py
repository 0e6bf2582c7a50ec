"""What the bundle that serves makes of the states of earlier cycles: since when something differs from usual.

An answer says which campaign's arm it would know that of, and never waits for it: a loop beside reads the states that
the ledger keeps of the cycles before, asks the bundle about them in one call, and keeps what it says for as long as the
cycle runs and the bundle serves. A cycle counts as known where the policy's split was served in it: of static and given
splits no state is kept. States were seen by whichever bundle served then; their statistics are seen anew by this one,
with its context of the campaign, and a champion of another layout is none.

Shapes: T cycles before, the newest first; D drifting factors of a belief, P platforms, S state, X statistics.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossmix.bundle import Bundle
from crossmix.ledger.campaigns import Campaign
from crossmix.ledger.served import SavedState, last_states_of
from crossmix.ledger.store import Store
from crossmix.response import BELIEF
from crossmix.unusual import told

Array = NDArray[Any]
Key = tuple[str, str]
"""Campaign and arm."""
MOST = 19
"""Cycles before that are looked at: with the running one as many as the statistics' window."""
BLOCK = 20
"""Campaigns' arms of a round, a megabyte of states."""


@dataclass(frozen=True, slots=True, eq=False)
class Before:
    """What was told of a campaign's arm before a cycle; replaced, never changed."""

    cycle: int
    bundle: str
    """Digest of the one that says so."""
    told_TDP: NDArray[np.int8]
    """As `crossmix.unusual.told`, back to the first cycle whose state is not known."""


class Earlier:
    """By campaign and arm, what is known of the cycles before the one that runs.

    Args:
        bundle: the one that serves.
        campaigns: as last read.
        context: a campaign's context (D,) for a bundle.
        clock: the time of cycles, UTC.
    """

    def __init__(
        self,
        bundle: Callable[[], Bundle],
        campaigns: Callable[[], Mapping[str, Campaign]],
        context: Callable[[Bundle, str], Array],
        clock: Callable[[], datetime],
    ) -> None:
        self._bundle, self._campaigns, self._context, self._clock = bundle, campaigns, context, clock
        self._known: dict[Key, Before] = {}
        self._wanted: dict[Key, None] = {}

    def __bool__(self) -> bool:
        """Something is wanted."""
        return bool(self._wanted)

    def last(self, campaign: str, arm: str) -> Before | None:
        """What is known, of whichever cycle and bundle; the same object until there is more."""
        return self._known.get((campaign, arm))

    def want(self, campaign: str, arm: str) -> None:
        """An answer would tell since when."""
        self._wanted[campaign, arm] = None

    def read(self, store: Store) -> None:
        """A round: some of what is wanted; raises `StoreAwayError`, and then it stays wanted."""
        bundle, campaigns = self._bundle(), self._campaigns()
        now = self._clock()
        keys = list(islice(tuple(self._wanted), BLOCK))
        running = {key: campaigns[key[0]].cycle(now) for key in keys if key[0] in campaigns}
        if bundle.tells_belief and running:
            wanted = {key: range(max(cycle - MOST, 0), max(cycle, 0)) for key, cycle in running.items()}
            saved = last_states_of(store, wanted)
            for key, cycle in running.items():
                told_TDP = self._told(bundle, campaigns[key[0]], cycle, saved.get(key, {}))
                self._known[key] = Before(cycle, bundle.digest, told_TDP)
            for key in [key for key in self._known if key[0] not in campaigns]:
                del self._known[key]
        for key in keys:
            self._wanted.pop(key, None)

    def _told(
        self, bundle: Bundle, campaign: Campaign, running: int, saved: Mapping[int, SavedState]
    ) -> NDArray[np.int8]:
        statistics = []
        for cycle in range(running - 1, max(running - MOST, 0) - 1, -1):
            one = saved.get(cycle)
            if one is None or not _is_of(one, bundle, campaign, cycle):
                break
            statistics.append(bundle.layout.statistics(one.state_S))
        platforms = len(bundle.platforms)
        if not statistics:
            return told(np.ones((0, len(BELIEF), platforms)))
        context_D = self._context(bundle, campaign.campaign_id)
        state_TS = np.stack([np.concatenate([context_D, one_X]).astype(np.float32) for one_X in statistics])
        decision = bundle.decision(state_TS, np.zeros((1, platforms)), np.ones((1, platforms)))
        return told(np.stack([belief.value_QP for belief in decision.beliefs or ()]))


def _is_of(saved: SavedState, bundle: Bundle, campaign: Campaign, cycle: int) -> bool:
    """The state is of this flight's cycle, and in the bundle's slots."""
    same = saved.platforms == bundle.platforms and len(saved.state_S) == bundle.layout.size
    return same and campaign.begins(cycle) <= saved.at < campaign.ends(cycle)


__all__ = ["Before", "Earlier"]
