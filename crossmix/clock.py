"""The one clock of cycles, experiments, audit and cooldowns: the wall's, or one that a driver moves.

Whoever asks which cycle it is, when a change was made or whether a cooldown is over asks the clock that it was given.
Signatures, retries, back-off and hang bounds stay on the machine's own time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

Clock = Callable[[], datetime]
"""The time, UTC."""
EARLIEST, LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
"""Of a time that anybody may give: calendars, zones and cycles after them have room on either side."""


class ClockError(ValueError):
    """A clock's file that holds no time; the message names it and the remedy."""


def wall() -> datetime:
    """The machine's own time, UTC."""
    return datetime.now(UTC)


class MemoryClock:
    """A clock that its driver moves, within a process."""

    def __init__(self, start: datetime) -> None:
        self.now = start

    def __call__(self) -> datetime:
        return self.now

    def set(self, moment: datetime) -> None:
        """It is `moment` now, UTC; earlier than before is allowed, as a machine's clock is set back too."""
        self.now = moment

    def advance(self, step: timedelta) -> datetime:
        """So much later; the new time."""
        self.now += step
        return self.now


class FileClock:
    """A clock that its driver moves by a file with one time in ISO format, as 2026-01-05T09:00:00Z.

    The file is read anew when it has changed. One that is gone or half-written leaves the last time standing, and is
    its `trouble`.

    Raises:
        ClockError: at the start there is no time in it.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self.trouble: str | None = None
        """Why the last time stands; `None`: the file has the time."""
        self.since: float | None = None
        """Of the trouble; seconds, UTC."""
        self._stamp = self._look()  # first: what is written meanwhile is read again
        self._now = self._read()

    def __call__(self) -> datetime:
        stamp = self._look()
        if stamp is None or stamp != self._stamp:
            try:
                self._now, self._stamp = self._read(), stamp
                self.trouble, self.since = None, None
            except ClockError as error:
                # Half-written: its whole text is read at the next call. Where none comes, somebody should know.
                self.since = self.since or time.time()
                self.trouble = f"{error}; {self._now.isoformat()} stands"
        return self._now

    def _look(self) -> tuple[int, int, int] | None:
        try:
            status = self.path.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_ino, status.st_size

    def _read(self) -> datetime:
        try:
            text = self.path.read_text().strip()
            moment = datetime.fromisoformat(text)
        except (OSError, ValueError) as error:
            raise ClockError(
                f"clock {self.path}: no time in it ({error}); write one, as 2026-01-05T09:00:00Z"
            ) from None
        if moment.tzinfo is None:
            raise ClockError(f"clock {self.path}: {text!r} has no zone; add Z for UTC")
        if not EARLIEST <= moment <= LATEST:
            raise ClockError(f"clock {self.path}: {text!r}; write a time from {EARLIEST.year} to {LATEST.year}")
        return moment.astimezone(UTC)


def clock_of(path: Path | str | None) -> Clock:
    """The clock in a file; `None`: the wall's. Raises `ClockError`."""
    return wall if path is None else FileClock(Path(path))
