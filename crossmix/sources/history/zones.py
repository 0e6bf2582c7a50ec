"""Hours that are told in UTC as days of the account's time zone (`data.timezone`).

A warehouse's `2026-01-05T23:00:00Z` is midnight of the next day in Berlin and 18:00 in New York; an export of whole UTC
days begins and ends within a local day, which is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache

from crossmix.cycles import ZoneError, zone
from crossmix.schema import DataError
from crossmix.sources.history import dates, stamps

LEAST_DAYS = 5
"""So many other days tell when a day's first and last rows are."""


@dataclass(frozen=True, slots=True)
class Moved:
    """Dates whose times tell their zone, as local days."""

    texts: list[str]
    """Local days; what tells no zone as it was."""
    partial: list[bool]
    """Rows of a first or last local day that is not there as a whole."""
    notes: list[str]
    moved: bool
    """Whether any was read in the zone."""


def check(name: str | None) -> None:
    """Raise `DataError` where `data.timezone` is none."""
    try:
        zone(name or "UTC")
    except ZoneError as error:
        raise DataError(f"data.timezone: {error}") from None


def told(texts: Sequence[str]) -> list[str]:
    """What is taken where hours tell UTC, or no zone, and none is given; nothing of midnights."""
    unique = [*dict.fromkeys(texts)]
    epoch = stamps.from_epoch(unique)
    clocks = {text: clock for text in unique if (clock := stamps.clock_of(epoch.get(text, text)))}
    if len({clock.seconds for clock in clocks.values()}) <= 2:
        return []
    shown = next((text for text, clock in clocks.items() if clock.offset == 0), None)
    if shown is not None:
        return [
            f"Hours are in UTC ({shown!r}) and days are UTC's; --timezone Europe/Berlin (data.timezone), with the "
            "account's own zone, makes them local days."
        ]
    shown = next((text for text, clock in clocks.items() if clock.offset is None), None)
    return [] if shown is None else [f"Times tell no time zone ({shown!r}): their days are read as they stand."]


def unmoved(name: str) -> DataError:
    """The error for a time zone that nothing can be moved to."""
    return DataError(
        f"data.timezone: {name}, and no row has an hour with its zone (as 2026-01-05T22:00:00Z), so that no day can be "
        "moved: drop the setting, or export by hour with times in UTC"
    )


def moved(texts: Sequence[str], order: str | None, accounts: Sequence[str] | None, name: str) -> Moved:
    """Times that tell their zone as days of another one; those of each account (platform) judged by themselves.

    Args:
        order: `data.dates`.
        name: `data.timezone`.

    Raises:
        DataError: times are one a day, and no midnights of that zone.
    """
    unique = [*dict.fromkeys(texts)]
    epoch = stamps.from_epoch(unique)
    clocks = {text: clock for text in unique if (clock := stamps.clock_of(epoch.get(text, text)))}
    zoned = [text for text, clock in clocks.items() if clock.offset is not None]
    days = dict(zip(zoned, dates.convert([clocks[text].day for text in zoned], order)[0], strict=True))
    moments = {
        text: datetime.combine(day, time(), UTC) + timedelta(seconds=clock.seconds - (clock.offset or 0))
        for text in zoned
        if (day := dates.of_iso(days[text])) and (clock := clocks[text])
    }
    own: dict[str, dict[str, datetime]] = {}
    owners = accounts if accounts is not None else [""] * len(texts)
    for text, owner in zip(texts, owners, strict=True):
        if text in moments:
            own.setdefault(owner, {})[text] = moments[text]
    local, cut, notes = {}, {}, []
    for owner, stamped in own.items():
        if _whole_days(stamped, clocks, name, owner):
            continue
        local[owner] = {text: f"{_local(moment, name):%Y-%m-%d}" for text, moment in stamped.items()}
        hourly = len({_clock(moment, name) for moment in stamped.values()}) > 2
        cut[owner] = _cut(stamped.values(), name) if hourly else set()
    pairs = list(zip(texts, owners, strict=True))
    result = [local.get(owner, {}).get(text, text) for text, owner in pairs]
    partial = [day in cut.get(owner, ()) for day, (_, owner) in zip(result, pairs, strict=True)]
    if local:
        other = next((text for rows in local.values() for text in rows if days[text] != rows[text]), None)
        first = next(iter(local.values()))
        shown = other or next(iter(first))
        read = next(rows[shown] for rows in local.values() if shown in rows)
        notes.append(f"Times are read as days of {name}, the clocks' changes included: {shown!r} is of {read}.")
    if lost := sorted(set().union(*cut.values())):
        notes.append(f"{' and '.join(lost)}, at the ends, are no whole days of {name} and are left out.")
    return Moved(result, partial, notes, bool(local))


def _whole_days(stamped: Mapping[str, datetime], clocks: Mapping[str, stamps.Clock], name: str, owner: str) -> bool:
    """Whether an account has one row a day whose time is written as midnight or noon, and no midnight of the zone.

    Raises:
        DataError: it has one time a day that is neither.
    """
    if len({moment.time() for moment in stamped.values()}) > 2:
        return False
    if all(_clock(moment, name) == 0 for moment in stamped.values()):
        return False
    if {clocks[text].seconds for text in stamped} <= {0, stamps.NOON}:
        return True
    shown = next(iter(stamped))
    raise DataError(
        f"data.timezone: {name}, and the rows{f' of {owner!r}' if owner else ''} have one time a day ({shown!r}) that "
        "is no midnight there; correct the zone, or export by hour"
    )


def _cut(moments: Iterable[datetime], name: str) -> set[str]:
    """The first and the last local day where the rows do not reach to their midnights.

    An export is of whole UTC days, or begins and ends where its rows do: a first day whose rows begin later than those
    of all others, or a last one whose rows end before, is no whole one either.
    """
    known = sorted(moments)
    by_day: dict[date, list[int]] = {}
    for moment in known:
        by_day.setdefault(_local(moment, name).date(), []).append(_clock(moment, name))
    first, *between, last = [*by_day] if len(by_day) > 1 else [*by_day] * 2
    covered = _midnight(known[0].date(), "UTC"), _midnight(known[-1].date() + timedelta(days=1), "UTC")
    begins = [min(by_day[day]) for day in between]
    ends = [max(by_day[day]) for day in between]
    tell = len(between) >= LEAST_DAYS
    found = set()
    if _midnight(first, name) < covered[0] or (tell and min(by_day[first]) > max(begins)):
        found.add(first.isoformat())
    if _midnight(last + timedelta(days=1), name) > covered[1] or (tell and max(by_day[last]) < min(ends)):
        found.add(last.isoformat())
    return found


@lru_cache(maxsize=1 << 16)
def _local(moment: datetime, name: str) -> datetime:
    return moment.astimezone(zone(name))


def _clock(moment: datetime, name: str) -> int:
    """Seconds since local midnight, by the clock."""
    local = _local(moment, name)
    return local.hour * stamps.HOUR + local.minute * 60 + local.second


def _midnight(day: date, name: str) -> datetime:
    """Local midnight, UTC."""
    return datetime.combine(day, time(), zone(name)).astimezone(UTC)
