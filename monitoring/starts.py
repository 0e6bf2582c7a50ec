"""Starts the runs that alerts asked for, and watches them until they are over.

A run is claimed before it is started, and taken under a lease: after a kill, whoever looks next takes up what was
claimed, and since a launcher is idempotent by the run's id, it starts once.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import timedelta

from crossmix.background import Loop, sentence
from crossmix.clock import Clock, wall
from crossmix.config import Webhook
from crossmix.ledger import again, runs
from crossmix.ledger.runs import Run
from crossmix.ledger.store import Store, StoreAwayError
from monitoring import metrics
from monitoring.launcher import Launcher, LauncherAwayError, LaunchRefusedError

_log = logging.getLogger(__name__)
LONGEST_PAUSE = 60.0
"""Seconds between tries to start a run."""


class Starter:
    """Takes open runs to a launcher.

    Args:
        store: the ledger; it may raise `StoreAwayError`.
        launcher: `None`: runs are only counted, and wait.
        holder: a name of this process that no other has at the same time.
        now: wall time, UTC.
    """

    def __init__(
        self, store: Callable[[], Store], launcher: Launcher | None, settings: Webhook, holder: str, now: Clock = wall
    ) -> None:
        self._store, self._launcher, self._settings = store, launcher, settings
        self._holder, self._now = holder, now
        self._lease = timedelta(seconds=settings.lease)

    def round(self) -> None:
        """Ask again where it is time, start what is claimed, look at what was started; raises `StoreAwayError`."""
        store = self._store()
        if self._launcher is not None:
            for run_id in again.open_due(store, self._settings.again, self._now()):
                _log.info("run %s: asked for again (alerts.webhook.again)", run_id)
            for run in runs.take(store, self._holder, self._now(), self._lease):
                self._safely(store, self._launcher, run)
        for state, number in runs.open_counts(store).items():
            metrics.OPEN.labels(state).set(number)

    def _safely(self, store: Store, launcher: Launcher, run: Run) -> None:
        try:
            self._one(store, launcher, run)
        except StoreAwayError:
            raise
        except LauncherAwayError as error:
            self._later(store, run, sentence(error))
        except LaunchRefusedError as error:
            runs.close(store, run, runs.FAILED, str(error))
            metrics.STARTS.labels("refused").inc()
            _log.error("run %s of %s: refused: %s", run.run_id, run.campaign_id, error)
        except Exception as error:  # one run's fault holds up no other
            _log.error("run %s of %s", run.run_id, run.campaign_id, exc_info=error)
            self._later(store, run, f"{type(error).__name__}: {sentence(error)}")

    def _one(self, store: Store, launcher: Launcher, run: Run) -> None:
        if run.started is not None and self._now() - run.started > timedelta(hours=self._settings.longest):
            runs.close(store, run, runs.FAILED, f"not over after {self._settings.longest:g} h (alerts.webhook.longest)")
            _log.error("run %s of %s: given up", run.run_id, run.campaign_id)
        elif run.state == runs.CLAIMED:
            runs.starting(store, run)
            started_id = launcher.start(run.run_id, run.spec)
            runs.started(store, run, started_id, self._now())
            metrics.STARTS.labels("started").inc()
            _log.info("run %s of %s: started as %s", run.run_id, run.campaign_id, started_id)
        else:
            self._watch(store, launcher, run)

    def _watch(self, store: Store, launcher: Launcher, run: Run) -> None:
        state, now = launcher.state(run.run_id), self._now()
        if state == "running":
            if run.heartbeat is None or run.detail or now - run.heartbeat > self._lease / 4:
                runs.beat(store, run, now)
            return
        forgot = "its launcher knows it no more" if state == "unknown" else None
        over = runs.SUCCEEDED if state == "succeeded" else runs.FAILED
        runs.close(store, run, over, forgot)
        _log.info("run %s of %s: %s", run.run_id, run.campaign_id, over)

    def _later(self, store: Store, run: Run, detail: str) -> None:
        pause = min(LONGEST_PAUSE, self._settings.every * 2 ** min(run.attempts, 10))
        runs.later(store, run, self._now() + timedelta(seconds=pause), detail)
        metrics.STARTS.labels("later").inc()


class Nudge:
    """A round at once, on the caller's thread, unless one is under way: that caller then does another.

    However many call while a launcher hangs, one thread waits for it.
    """

    def __init__(self, loop: Loop) -> None:
        self._loop, self._turn, self._asked = loop, threading.Lock(), threading.Event()

    def __call__(self) -> None:
        self._asked.set()
        if not self._turn.acquire(blocking=False):
            return
        try:
            while self._asked.is_set():
                self._asked.clear()
                self._loop.once()
        finally:
            self._turn.release()


def loop_of(starter: Starter, settings: Webhook) -> Loop:
    """Its rounds, not yet started; the first is at once, for what an earlier process left."""
    return Loop("runs", settings.every, starter.round, at_once=True, expected=(StoreAwayError,))
