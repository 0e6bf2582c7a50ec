"""When a campaign's cycles begin and end: calendar days of its time zone, or a fixed length.

With a time zone, cycles of whole days are local calendar days: they begin at local midnight, have 23 or 25 hours when
the clocks change, and cycle 0 runs from `starts` to the next such midnight, with its part of the day's budget. Without
one, and for other lengths, cycles follow each other from `starts` on, each of `cycle_hours`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo


class ZoneError(ValueError):
    """No time zone of that name."""


@lru_cache(maxsize=1_000)
def zone(name: str) -> ZoneInfo:
    """An IANA time zone, as Europe/Berlin; raises `ZoneError`."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ZoneError(f"{name!r} is no IANA time zone; give one, as UTC or Europe/Berlin") from None


@lru_cache(maxsize=10_000)
def _day(name: str, moment: datetime) -> date:
    """Local date of a moment."""
    return moment.astimezone(zone(name)).date()


@lru_cache(maxsize=10_000)
def _begins(name: str, day: date) -> datetime:
    """Local midnight, UTC; where clocks skip it, the first moment of the day."""
    return datetime.combine(day, time(), zone(name)).astimezone(UTC)


@dataclass(frozen=True, slots=True)
class Cycles:
    """A campaign's cycles."""

    starts: datetime
    """Of cycle 0, UTC."""
    cycle_hours: float
    timezone: str | None = None
    """IANA; `None`: cycles of a fixed length."""

    @property
    def days(self) -> int | None:
        """Calendar days of a cycle; `None`: it has a fixed length."""
        if self.timezone is None or self.cycle_hours < 24 or self.cycle_hours % 24:
            return None
        return int(self.cycle_hours // 24)

    @property
    def nominal(self) -> timedelta:
        """What a cycle is planned to last, to the microsecond."""
        return timedelta(microseconds=round(self.cycle_hours * 3_600_000_000))

    def cycle(self, now: datetime) -> int:
        """The cycle at a moment; below 0 before the start."""
        days = self.days
        if days is None or self.timezone is None:
            return (now - self.starts) // self.nominal
        if now < self.starts:
            # Before the start the calendar goes back from the first day.
            return min((now.astimezone(zone(self.timezone)).date() - self._first()).days // days, -1)
        return (now.astimezone(zone(self.timezone)).date() - self._first()).days // days

    def begins(self, cycle: int) -> datetime:
        """Start of a cycle, UTC."""
        days = self.days
        if days is None:
            return self.starts + cycle * self.nominal
        return self.starts if cycle == 0 else self._midnight(cycle * days)

    def ends(self, cycle: int) -> datetime:
        """End of a cycle, UTC: the start of the next."""
        return self.begins(cycle + 1)

    def length(self, cycle: int) -> timedelta:
        """How long a cycle lasts."""
        return self.ends(cycle) - self.begins(cycle)

    def weekday(self, cycle: int) -> int:
        """The local weekday on which a cycle begins, Monday 0; UTC's without a time zone."""
        return self.begins(cycle).astimezone(zone(self.timezone or "UTC")).weekday()

    def part(self, cycle: int) -> float:
        """Its part of a cycle's budget: 1, but for a first cycle that begins within its day."""
        days = self.days
        if days is None or cycle != 0:
            return 1.0
        return self.length(0) / (self._midnight(days) - self._midnight(0))

    def parts(self, stop: int) -> float:
        """`part` summed over the cycles before `stop`."""
        return 0.0 if stop <= 0 else stop - 1 + self.part(0)

    def _first(self) -> date:
        """Local date of the start."""
        assert self.timezone is not None  # `days` is None without one
        return _day(self.timezone, self.starts)

    def _midnight(self, days: int) -> datetime:
        """Local midnight so many days after the start's, UTC; where clocks skip it, the first moment of the day."""
        assert self.timezone is not None
        return _begins(self.timezone, self._first() + timedelta(days=days))
