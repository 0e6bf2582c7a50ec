"""One way to do something again and again beside the rest: a daemon thread that outlives what goes wrong in a round."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

_log = logging.getLogger(__name__)


FINISHED = object()
"""What a round returns when nothing is left to do; anything else means to go on."""


class ExpectedError(RuntimeError):
    """What a round may fail with: its sentence says all, so that the log needs no traceback."""


class Loop:
    """Rounds of work on a daemon thread, one at a time, until one says that nothing is left to do, or `stop`.

    A round that raises is the loop's `trouble` until one does not; the log has a line when trouble begins, becomes
    another kind of error, and ends.

    Args:
        name: of the thread, in the log, and of what is in trouble.
        seconds: pause between rounds.
        work: a round; it returns `FINISHED` where nothing is left to do.
        at_once: the first round does not wait.
        expected: errors that are logged by their sentence alone.
    """

    def __init__(
        self,
        name: str,
        seconds: float,
        work: Callable[[], Any],
        *,
        at_once: bool = False,
        expected: tuple[type[Exception], ...] = (),
    ) -> None:
        self.name, self.seconds = name, seconds
        self.trouble: str | None = None
        """Why the last round failed, in a sentence; `None`: it did not."""
        self.since: float | None = None
        """Of the trouble; seconds, UTC."""
        self.failures = 0
        """Rounds that failed."""
        self._work, self._at_once = work, at_once
        self._expected: tuple[type[Exception], ...] = (ExpectedError, *expected)
        self._kind: type[Exception] | None = None
        self._halt, self._turn = threading.Event(), threading.Lock()
        self._wake, self._asking = threading.Event(), threading.Lock()
        self._asked: list[threading.Event] = []
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin; a loop begins once."""
        self._thread.start()

    def stop(self) -> None:
        """Let the round under way be the last; `join` waits for it."""
        self._halt.set()
        self._wake.set()

    def ask(self) -> threading.Event:
        """Have a round begin now, or after the one under way, on the loop's thread; what is set once it has ended."""
        ended = threading.Event()
        with self._asking:
            self._asked.append(ended)
        self._wake.set()
        return ended

    def join(self, timeout: float | None = None) -> None:
        """Wait until the thread has ended, where it was started; seconds."""
        if self._thread.ident is not None:
            self._thread.join(timeout)

    def is_alive(self) -> bool:
        """Whether rounds go on."""
        return self._thread.is_alive()

    @property
    def stopping(self) -> bool:
        """Whether `stop` was called: a long round may ask and return early."""
        return self._halt.is_set()

    def once(self) -> bool:
        """One round, on the caller's thread, after the one under way; whether nothing is left. Trouble is kept."""
        with self._turn:
            try:
                finished = self._work() is FINISHED
            except Exception as error:
                self._ill(error)
                return False
            if self._kind is not None:
                _log.warning("%s: well again", self.name)
            self.trouble, self.since, self._kind = None, None, None
            return finished

    def _run(self) -> None:
        if self._at_once:
            self._wake.set()
        while True:
            self._wake.wait(self.seconds)
            self._wake.clear()
            if self._halt.is_set():
                return
            with self._asking:
                asked, self._asked = self._asked, []
            finished = self.once()
            for one in asked:
                one.set()
            if finished:
                return

    def _ill(self, error: Exception) -> None:
        expected = isinstance(error, self._expected)
        self.trouble = sentence(error) if expected else f"{type(error).__name__}: {sentence(error)}"
        self.failures += 1
        if self._kind is None:
            self.since = time.time()
        if type(error) is not self._kind:
            self._kind = type(error)
            _log.warning("%s: %s", self.name, self.trouble, exc_info=None if expected else error)


def sentence(error: Exception) -> str:
    """The first line of what an error says; its kind where it says nothing."""
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
