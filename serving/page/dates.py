"""Which days a page or a file is about, and which cycles of a campaign begin on them, in its own time zone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from crossmix.clock import EARLIEST, LATEST
from crossmix.cycles import zone
from crossmix.ledger.campaigns import Campaign

DAYS = 14
"""How many a page shows where nobody asks for others."""
MOST_DAYS = 92
"""Of a page; a file has no end."""
MOST_CYCLES = 92
"""Of one campaign on a page, the newest: cycles of minutes would fill it."""


class RangeError(ValueError):
    """Dates that are none; the message names field, value and remedy."""


@dataclass(frozen=True, slots=True)
class Range:
    """Days, both included, in each campaign's own time zone; `None`: open."""

    first: date | None = None
    last: date | None = None

    @staticmethod
    def read(first: str | None, last: str | None) -> Range:
        """From what a form or an address says; raises `RangeError`."""
        both = Range(_date("from", first), _date("to", last))
        if both.first and both.last and both.first > both.last:
            raise RangeError(f"from: {both.first} is after to, {both.last}; give the earlier day first")
        return both

    def within(self, today: date, most: int | None = MOST_DAYS) -> tuple[date, date]:
        """Both days: the last `DAYS` until today where nothing is asked, and no more than `most`."""
        last = self.last or (max(today, self.first) if self.first else today)
        first = self.first or _back(last, DAYS - 1)
        return (first if most is None else max(first, _back(last, most - 1))), last


def zone_of(campaign: Campaign) -> tzinfo:
    """Whose calendar a campaign's days are: UTC where it has none."""
    return UTC if campaign.timezone is None else zone(campaign.timezone)


def span(campaign: Campaign, asked: Range, now: datetime, most: int | None) -> tuple[int, int] | None:
    """The campaign's cycles that begin on the days asked for and have begun; `None`: there are none."""
    zoned = zone_of(campaign)
    first, last = asked.within(_today(campaign, now).astimezone(zoned).date(), most)
    begin = datetime.combine(first, time(), zoned).astimezone(UTC)
    end = datetime.combine(last + timedelta(days=1), time(), zoned).astimezone(UTC)
    low = max(campaign.cycle(begin), 0)
    if campaign.begins(low) < begin:
        low += 1
    high = campaign.cycle(end)
    if campaign.begins(high) >= end:
        high -= 1
    high = min(high, campaign.cycle(now), campaign.cycles - 1)
    if most is not None:
        low = max(low, high - MOST_CYCLES + 1)
    return (low, high) if low <= high else None


def _today(campaign: Campaign, now: datetime) -> datetime:
    """The day that a page begins with: the last of a campaign that is over."""
    return min(now, campaign.begins(campaign.cycles - 1)) if now >= campaign.starts else now


def _back(day: date, days: int) -> date:
    return day - timedelta(days=days)


def _date(name: str, text: str | None) -> date | None:
    if not text:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = None
    if day is None or not EARLIEST.date() <= day < LATEST.date():
        years = f"{EARLIEST.year} to {LATEST.year - 1}"
        raise RangeError(f"{name}: {text[:40]!r}; give a day, as 2026-01-31, of the years {years}")
    return day
