"""The experiment's verdict, kept: read anew when something came since, by one thread at a time.

With few campaigns a request waits for the newest verdict: some milliseconds. With ten thousand it takes seconds: then a
request is answered with the one that stands, which says as of when it is, and the next is made beside it, a tenth of
the time at most. Only the first ever is waited for. What goes wrong is kept by nobody: the next request tries again.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from crossmix.background import Loop
from crossmix.ledger import feedback
from crossmix.ledger.campaigns import Campaign
from crossmix.ledger.experiments import VerdictError
from crossmix.ledger.store import StoreAwayError
from serving.experiment import verdict

if TYPE_CHECKING:
    from serving.live.live import Live

FEW = 500
"""Campaigns up to which a request waits for the newest verdict."""
REFRESH_SECONDS = 5.0
VARIANTS = 32
"""Verdicts that are kept, as of single campaigns and other pages; the longest unasked goes first."""
PAUSE = 10
"""Times as long as a verdict takes: until the next is made beside the answers."""
SLOW_SECONDS = 2.0
"""A verdict that took longer is not waited for, however few the campaigns: a million events of users, say."""


@dataclass(frozen=True, slots=True, eq=False)
class Standing:
    """A verdict."""

    content: dict[str, Any]
    """As `serving.experiment.verdict.status` gives it; not to be changed."""
    behind: bool
    """Something came since."""

    def plain(self) -> dict[str, Any]:
        """The verdict, as of when it is and whether something came since."""
        return {**self.content, "as_of": self.content["now"], "behind": self.behind}


@dataclass(frozen=True, slots=True, eq=False)
class _Kept:
    mark: Hashable
    content: dict[str, Any]
    at: float
    took: float


class Keeper:
    """Verdicts by variant.

    Args:
        compute: makes the verdict of a variant; what it raises goes to those who wait for it.
        mark: something cheap that is another one once a verdict would be.
        waits: whether requests wait for the newest.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        compute: Callable[..., dict[str, Any]],
        mark: Callable[[], Hashable],
        waits: Callable[[], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._compute, self._mark, self._waits, self._clock = compute, mark, waits, clock
        self._kept: OrderedDict[tuple[Any, ...], _Kept] = OrderedDict()
        self._running: dict[tuple[Any, ...], Future[_Kept]] = {}
        self._lock, self._turn = threading.Lock(), threading.Lock()

    def get(self, *variant: Any) -> Standing:
        """The verdict that stands, or, where requests wait or there is none yet, the newest.

        Raises:
            What `compute` and `mark` raise.
        """
        # Of two that it joins the second has begun after it came, and lacks nothing that it came for.
        joined = 0
        while True:
            mark = self._mark()
            with self._lock:
                kept = self._kept.get(variant)
                if kept is not None:
                    self._kept.move_to_end(variant)
                    if kept.mark == mark:
                        return Standing(kept.content, behind=False)
                waits = self._waits() and (kept is None or kept.took <= SLOW_SECONDS)
                future = self._running.get(variant)
                mine = future is None and (kept is None or waits or self._due(kept))
                if mine or future is None:
                    future = Future()
                if mine:
                    self._running[variant] = future
            if kept is not None and not waits:
                if mine:
                    threading.Thread(target=self._run, args=(variant, future), name="verdict", daemon=True).start()
                return Standing(kept.content, behind=True)
            if mine:
                self._run(variant, future)
                return Standing(future.result().content, behind=False)
            made, joined = future.result(), joined + 1
            if joined == 2 or made.mark == mark or not waits:
                return Standing(made.content, behind=joined < 2 and made.mark != mark)

    def refresh(self, *variant: Any) -> None:
        """A round beside the requests: make the verdict where none of them waits for it and something came since."""
        if self._waits():
            return
        mark = self._mark()
        with self._lock:
            kept = self._kept.get(variant)
            if variant in self._running or (kept is not None and (kept.mark == mark or not self._due(kept))):
                return
            future = self._running[variant] = Future()
        self._run(variant, future)
        future.result()

    def _due(self, kept: _Kept) -> bool:
        return self._clock() - kept.at >= PAUSE * kept.took

    def _run(self, variant: tuple[Any, ...], future: Future[_Kept]) -> None:
        """Make one, after those under way; what comes of it goes to all who wait."""
        try:
            with self._turn:
                # The mark first: what comes meanwhile makes another verdict.
                mark, began = self._mark(), self._clock()
                content = self._compute(*variant)
                made = _Kept(mark, content, self._clock(), self._clock() - began)
        except BaseException as error:
            with self._lock:
                self._kept.pop(variant, None)
                del self._running[variant]
            future.set_exception(error)
            return
        with self._lock:
            self._kept[variant] = made
            self._kept.move_to_end(variant)
            while len(self._kept) > VARIANTS:
                self._kept.popitem(last=False)
            del self._running[variant]
        future.set_result(made)


def mark_of(live: Live) -> Callable[[], Hashable]:
    """Something cheap that is another one once a verdict of a server's experiment would be."""
    moments = _Moments()

    def mark() -> Hashable:
        store, now = live.store, live.clock()
        few = len(live.campaigns) <= FEW
        moment = int(now.timestamp()) if few else (int(now.timestamp() // 3600), moments.of(live.campaigns, now))
        return live.experiment.id, feedback.number(store), store.revision(), moment

    return mark


def keeper_of(live: Live, clock: Callable[[], float] = time.monotonic) -> Keeper:
    """The verdicts of a server's experiments; a variant is a campaign, or `None`, a page of the campaigns, and the id
    of an experiment, or `None`: the newest.

    Args:
        clock: seconds that only grow, by which a verdict is slow.
    """

    def compute(campaign: str | None = None, page: int = 1, experiment: str | None = None) -> dict[str, Any]:
        rails, weights = live.config.serving.guardrails, live.config.reward
        asked = (live.store, experiment or live.experiment.id, live.clock(), rails, weights)
        return verdict.status(*asked, campaign=campaign, page=page)

    return Keeper(compute, mark_of(live), lambda: len(live.campaigns) <= FEW, clock)


def loop_of(keeper: Keeper) -> Loop:
    """Keeps the verdict new where requests do not wait for it."""
    return Loop("verdict keeper", REFRESH_SECONDS, keeper.refresh, expected=(StoreAwayError, VerdictError))


class _Moments:
    """Counts the moments at which a cycle of some campaign ends."""

    def __init__(self) -> None:
        self._campaigns: Mapping[str, Campaign] = {}
        self._since = self._until = datetime.max.replace(tzinfo=UTC)
        self._count = 0

    def of(self, campaigns: Mapping[str, Campaign], now: datetime) -> int:
        """How many have been seen to pass; another number after each."""
        if campaigns is not self._campaigns or not self._since <= now < self._until:
            ends = (one.ends(one.cycle(now)) for one in campaigns.values())
            self._since, self._until = now, min(ends)
            self._campaigns, self._count = campaigns, self._count + 1
        return self._count
