"""Days that are stamped with a time: local midnights told in UTC, and seconds since 1970.

A warehouse keeps 2 March of an account in Berlin as `2025-03-01T23:00:00Z`, and 2 July as `2025-07-01T22:00:00Z`: the
day is the next one, and two of them would be one where clocks change. Rows of one time of the day, or of two that are
an hour apart, are such midnights; rows of more times are hours.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

from crossmix.schema import DataError

_EPOCH = re.compile(r"(\d{10})(?:000)?(?:\.0+)?")
_FIRST, _LAST = 631_152_000, 4_102_444_800
"""Seconds since 1970 of 1990 and 2100."""
_CLOCK = re.compile(
    r"[T ,](\d{1,2}):(\d{2})(?::(\d{2})(?:[.,]\d+)?)?\s*(?:([AaPp])\.?[Mm]\.?)?\s*(Z|UTC|GMT|[+-]\d{2}(?::?\d{2})?)?$",
    re.IGNORECASE,
)
HALF_HOUR, HOUR, NOON, DAY = 1_800, 3_600, 43_200, 86_400
"""Seconds."""
NEXT_DAY = 37_800
"""From 10:30 UTC on a local midnight is the next day's: zones reach from 10 hours behind UTC to 13 hours before it."""
EVENING = 46_800
"""From 13:00 on a time without a zone may be a midnight of Asia or Europe, told in UTC."""


def from_epoch(texts: Sequence[str]) -> dict[str, str]:
    """Seconds or milliseconds since 1970 as stamps in UTC; empty unless all texts are such."""
    filled = [text for text in texts if text.strip()]
    found = {text: _EPOCH.fullmatch(text.strip()) for text in filled}
    seconds = {text: int(match[1]) for text, match in found.items() if match}
    if not filled or len(seconds) < len(found) or not all(_FIRST <= value < _LAST for value in seconds.values()):
        return {}
    return {text: f"{datetime.fromtimestamp(value, UTC):%Y-%m-%dT%H:%M:%SZ}" for text, value in seconds.items()}


def later(texts: Sequence[str]) -> tuple[set[str], str | None]:
    """Which stamps of one platform's rows are of the day that follows, and a sentence for the user.

    Raises:
        DataError: all have one time in the evening, without a zone: the day itself, or the next in UTC.
    """
    times = {text: clock for text in texts if (clock := clock_of(text)) is not None}
    clocks = sorted({clock.seconds for clock in times.values()})
    if not clocks or clocks == [0] or clocks == [NOON] or any(seconds % HALF_HOUR for seconds in clocks):
        return set(), None
    apart = clocks[-1] - clocks[0]
    midnights = len(clocks) == 1 or (len(clocks) == 2 and apart in (HALF_HOUR, HOUR, DAY - HOUR))
    zoned = all(clock.offset == 0 for clock in times.values())
    if not midnights or not (zoned or all(clock.offset is None for clock in times.values())):
        return set(), None
    if not zoned and len(clocks) == 1:
        if clocks[0] < EVENING:
            return set(), None
        shown = next(iter(times))
        raise DataError(
            f"date: all rows have the time of {shown!r}; it may be midnight of the next day, told in UTC, or an hour "
            "of the day itself: write dates as YYYY-MM-DD, in the account's time zone, or with their zone (a Z behind)"
        )
    moved = {text for text, clock in times.items() if clock.seconds >= NEXT_DAY}
    shown = min(moved or times)
    day = "the next day" if moved else "the same day"
    return moved, f"Times such as {shown!r} are midnights of another time zone, told in UTC: {day} is read."


class Clock(NamedTuple):
    """A stamp's time."""

    day: str
    """What stands before it."""
    seconds: int
    """Since midnight."""
    offset: int | None
    """Of its zone, seconds before UTC; `None`: no zone is told."""


@lru_cache(maxsize=1 << 16)
def clock_of(text: str) -> Clock | None:
    """A stamp's time; `None`: it has none."""
    text = text.strip()
    found = _CLOCK.search(text)
    if found is None:
        return None
    hour = int(found[1]) % 12 + 12 * (found[4].lower() == "p") if found[4] else int(found[1])
    seconds = HOUR * hour + 60 * int(found[2]) + int(found[3] or 0)
    return Clock(text[: found.start()], seconds, None if found[5] is None else _offset(found[5]))


def _offset(text: str) -> int:
    """Seconds of `Z`, `+01:00`, `-0530` or `+02`."""
    digits = text[1:].replace(":", "")
    if not digits.isdigit():
        return 0
    return (-1 if text[0] == "-" else 1) * (HOUR * int(digits[:2]) + 60 * int(digits[2:] or 0))


def following(day: str) -> str:
    """The day after an ISO one."""
    return (date.fromisoformat(day) + timedelta(days=1)).isoformat()
