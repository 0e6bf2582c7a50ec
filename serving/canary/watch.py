"""The loop that looks at the canary: it steps on, is promoted, or stops; and what serves then is asked of the server.

A step or an end is one transaction, so that of several replicas one takes it. What an end asks of the registry follows:
a promotion moves the alias champion, a broken guardrail takes the alias challenger from the version. Then the server is
asked for answers, and the end is settled once every arm's names the version that it should. Until that works it is
tried again at every look; where the process that ended the canary dies, another one does it after `grace` seconds.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Mapping
from datetime import datetime
from typing import Any, Protocol

from crossmix.background import ExpectedError, Loop
from crossmix.clock import Clock, wall
from crossmix.ledger import canaries, experiments
from crossmix.ledger.canaries import ACTOR, ENDED, PROMOTED, ROLLED_BACK, Canary
from crossmix.ledger.experiments import GUARDRAIL
from crossmix.ledger.store import Store, StoreAwayError
from crossmix.terms import POLICY, everybody
from serving.canary.rail import standing
from serving.experiment.guardrails import BROKEN

_log = logging.getLogger(__name__)


class Registry(Protocol):
    """What an end asks of the registry."""

    def get(self, version: str | int) -> Any:
        """A version by number or alias: `number`."""

    def promote(self, version: str | int, *, actor: str, reason: str, over: int | None = None) -> Any:
        """Make it champion in place of `over`, or refuse."""

    def refuse(self, version: str | int, *, actor: str, reason: str) -> Any:
        """Take the alias challenger from it."""


class Watch(Loop):
    """Looks every `seconds` until `stop`.

    Args:
        store: how to open the database; it may raise `StoreAwayError`: tried again.
        registry: makes the registry's client.
        changed: called after each step and end: this server reads anew what serves.
        answers: asks the server: by arm, the version that an answer names.
        now: the clock, UTC.
        grace: seconds that the replica that ended a canary has before others settle it.
        mark: something cheap that is another one once feedback, canary or time has moved on.
        told: called with the canary and how it stands, at each look that judges it.
    """

    def __init__(
        self,
        store: Callable[[], Store],
        registry: Callable[[], Registry],
        changed: Callable[[], Any],
        answers: Callable[[], Mapping[str, int | None]],
        seconds: float = 60.0,
        now: Clock = wall,
        grace: float = 60.0,
        mark: Callable[[], Hashable] = object,
        told: Callable[[Canary, str], Any] = lambda _, __: None,
    ) -> None:
        super().__init__("canary", seconds, self.look, at_once=True, expected=(StoreAwayError,))
        self._open, self._registry, self._changed, self._answers = store, registry, changed, answers
        self._now, self._grace, self._mark = now, grace, mark
        self._told = told
        self._held: Hashable = None
        self._mine: int | None = None

    def look(self) -> None:
        """One look."""
        store = self._open()
        rows = canaries.load_all(store)
        if not rows:
            return
        last = rows[-1]
        if last.ended is None:
            mark = self._mark()  # first: what comes meanwhile makes another
            if mark == self._held:
                return
            if not self._judge(store, last):
                self._held = mark
                return
            self._changed()
            last = canaries.load_all(store)[-1]
        if last.ended is not None and last.settled is None:
            self._settle(store, last)

    def _judge(self, store: Store, canary: Canary) -> bool:
        """Take the step that is due; whether one was."""
        newest = experiments.latest(store)
        if newest is not None and everybody(newest) not in (None, POLICY):
            reason = f"experiment {newest.id} has ended: every user gets the static split"
            return self._end(store, canary, ENDED, reason, ACTOR)
        stands = standing(store, canary, self._now())
        self._told(canary, stands.detail)
        if stands.verdict == BROKEN:
            return self._end(store, canary, ROLLED_BACK, stands.detail, GUARDRAIL)
        if stands.of_step < canary.cycles:
            return False
        part = canary.parts[canary.step]
        passed = f"{stands.of_step} cycles with {part:.0%} of the policy's users: {stands.detail}"
        coming = canary.parts[canary.step + 1 :]
        if not coming or coming[0] >= 1:
            return self._end(store, canary, PROMOTED, passed, ACTOR)
        return canaries.advance(store, canary, ACTOR, passed)

    def _end(self, store: Store, canary: Canary, outcome: str, reason: str, actor: str) -> bool:
        if canaries.end(store, canary, outcome, reason, actor):
            self._mine = canary.id
            _log.warning("canary: version %s %s: %s", canary.version, outcome, reason)
        return True

    def _settle(self, store: Store, canary: Canary) -> None:
        ended: datetime = canary.ended or self._now()
        mine = self._mine == canary.id or canary.outcome == ENDED
        # An end that lies further ahead than clocks differ was noted by one that ran ahead: nobody waits until then.
        if not mine and abs((self._now() - ended).total_seconds()) < self._grace:
            return
        registry, actor, reason = self._registry(), canary.ended_by or ACTOR, canary.reason or ""
        champion = registry.get("champion").number
        told = reason
        if canary.outcome == PROMOTED and champion in (canary.champion, canary.version):
            # Somebody else may promote another at this moment: then the registry refuses, and the next look says so.
            over = canary.champion
            champion = registry.promote(canary.version, actor=actor, reason=reason, over=over).number
        elif canary.outcome == PROMOTED:
            told = f"version {champion} is champion by now, which it was never compared with: it stays"
        elif canary.outcome == ROLLED_BACK:
            registry.refuse(canary.version, actor=actor, reason=reason)
        self._changed()
        versions = self._answers()
        wrong = {arm: version for arm, version in versions.items() if version != champion}
        if wrong:
            named = ", ".join(f"arm {arm} by version {version}" for arm, version in sorted(wrong.items()))
            raise ExpectedError(f"version {champion} is champion, and the server answers {named}; it is asked again")
        canaries.settle(store, canary, versions, told)


__all__ = ["Registry", "Watch"]
