"""What campaigns delivered, cycle by cycle and platform by platform, beside what was planned and told.

A cell (arm, cycle, platform) without an event was not reported, which is not 0. Each cycle has a state:

- `running`: it goes on;
- `stood still`: nothing was to be spent in it, and nothing was;
- `not reported`: nothing of it was;
- `partly reported`: a platform that had money is missing;
- `conversions due`: reports are in, and conversions may still come; how long that takes is read off the campaign's own
  late conversions, unless every report is marked complete;
- `settled`: nothing more is waited for.

Money left: the flight's budget less what was reported, and less what is taken for spent though nothing says so, as the
pace takes it (`serving.feedback.cells`): cycles without any report, and an arm's money on a platform until it has told
no spend for `silent` cycles while others did. A cycle throughout which the campaign was paused costs nothing. Of gaps
older than the newest `DAYS` cycles, or `silent` if that is more, only cycles without any report count.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

from crossmix.ledger import delivery
from crossmix.ledger.campaigns import Campaign, budget_at, budget_edits, pauses
from crossmix.ledger.delivery import Cell, Flight, Split
from crossmix.ledger.store import Store
from crossmix.metrics import ARMS, METRIC, QUANTITIES
from serving.page.dates import DAYS, MOST_DAYS, Range, span, zone_of

RUNNING, STILL, UNREPORTED, PARTLY, DUE, SETTLED = (
    "running",
    "stood still",
    "not reported",
    "partly reported",
    "conversions due",
    "settled",
)
FINAL = frozenset({SETTLED, STILL})
"""Nothing changes any more."""
MOST_DELAY = 30
"""Cycles that late conversions are waited for at most."""
LATE_PART = 0.01
"""Conversions that come later than this part of all are not waited for."""


@dataclass(frozen=True, slots=True)
class Read:
    """What the database says of some campaigns."""

    spans: Mapping[str, tuple[int, int]]
    cells: Mapping[str, Mapping[tuple[str, int, str], Cell]]
    splits: Mapping[str, Mapping[tuple[str, int], Split]]
    flights: Mapping[str, Flight]
    arrivals: Mapping[str, Mapping[int, float]]
    edits: Mapping[str, Sequence[tuple[datetime, float]]]
    reported: Mapping[str, set[int]]
    """Cycles with a report, of the campaigns that lack some."""
    pauses: Mapping[str, Sequence[tuple[datetime, bool]]]
    """When they were paused (true) and resumed, the oldest first."""


def read(
    store: Store,
    campaigns: Sequence[Campaign],
    asked: Range,
    now: datetime,
    most: int | None = MOST_DAYS,
    silent: int = 0,
) -> Read:
    """All that `of` needs, in at most nine queries for 500 campaigns; raises `StoreAwayError`.

    Args:
        silent: cycles of silence after which money counts as unspent: the newest are read too, whatever is asked for.
    """
    spans = {}
    for one in campaigns:
        mine = span(one, asked, now, most)
        if mine is not None:
            spans[one.campaign_id] = mine
    names = [one.campaign_id for one in campaigns]
    flights = delivery.flights(store, names)
    lacking = [
        one.campaign_id
        for one in campaigns
        if one.campaign_id not in flights or flights[one.campaign_id].cycles <= min(one.cycle(now), one.cycles)
    ]
    cells, splits = delivery.cells(store, spans), delivery.splits(store, spans)
    beyond = {}
    for one in campaigns if silent else ():
        first, last = tail(one, now, silent)
        low, high = spans.get(one.campaign_id, (0, -1))
        if first <= last and not low <= first <= last <= high:
            beyond[one.campaign_id] = first, last
    if beyond:
        for name, more in delivery.cells(store, beyond).items():
            cells.setdefault(name, {}).update(more)
        for name, more_told in delivery.splits(store, beyond).items():
            splits.setdefault(name, {}).update(more_told)
    return Read(
        spans,
        cells,
        splits,
        flights,
        delivery.arrivals(store, spans),
        budget_edits(store, names),
        delivery.reported(store, lacking) if lacking else {},
        pauses(store, lacking) if lacking else {},
    )


def tail(campaign: Campaign, now: datetime, silent: int) -> tuple[int, int]:
    """The newest cycles of a flight that have begun, those that silence is read from: first and last."""
    running = min(campaign.cycle(now), campaign.cycles)
    return max(running - max(silent, DAYS - 1), 0), min(running, campaign.cycles - 1)


def of(campaign: Campaign, platforms: Sequence[str], known: Read, now: datetime, silent: int) -> dict[str, Any]:
    """A campaign's delivery as plain data.

    Args:
        platforms: in slot order; others that reported come after them.
        silent: cycles of silence after which a platform's money counts as unspent.
    """
    name = campaign.campaign_id
    days, order = list(cycles(campaign, platforms, known, now)), ordered(campaign, platforms, known)
    flight = known.flights.get(name)
    return {
        "days": days,
        "total": _total(days),
        "platforms": {one: _platform(days, one) for one in order if any(one in day["platforms"] for day in days)},
        "arms": {arm: _over([day["arms"][arm] for day in days if day["state"] != RUNNING]) for arm in ARMS},
        "left": _left(campaign, platforms, known, now, silent),
        "received": None if flight is None else flight.received.isoformat(),
        "due_after": _due_after(known.arrivals.get(name, {})),
        "timezone": campaign.timezone,
    }


def cycles(
    campaign: Campaign, platforms: Sequence[str], known: Read, now: datetime, within: tuple[int, int] | None = None
) -> Iterator[dict[str, Any]]:
    """Its cycles, the oldest first, as plain data; platforms as for `of`.

    Args:
        within: first and last; what was read if `None`.
    """
    name = campaign.campaign_id
    splits, order = known.splits.get(name, {}), ordered(campaign, platforms, known)
    due, cells = _due_after(known.arrivals.get(name, {})), _by_cycle(known.cells.get(name, {}))
    edits, running = known.edits.get(name, ()), campaign.cycle(now)
    first, last = within or known.spans.get(name, (0, -1))
    for cycle in range(first, last + 1):
        budget = budget_at(campaign.cycle_budget, edits, campaign.ends(cycle))
        by_arm = {arm: splits.get((arm, cycle)) for arm in ARMS}
        yield _day(campaign, cycle, order, cells.get(cycle, {}), by_arm, budget, running, due)


def ordered(campaign: Campaign, platforms: Sequence[str], known: Read) -> list[str]:
    """The platforms in slot order, and after them others that reported."""
    reported = {platform for _, _, platform in known.cells.get(campaign.campaign_id, {})}
    return [*platforms, *sorted(reported - set(platforms))]


def _day(
    campaign: Campaign,
    cycle: int,
    platforms: Sequence[str],
    cells: Mapping[tuple[str, str], Cell],
    by_arm: Mapping[str, Split | None],
    budget: float,
    running: int,
    due: int,
) -> dict[str, Any]:
    """One cycle.

    Args:
        cells: by arm and platform.
        by_arm: what each was told.
        budget: the cycle budget that was in force, currency.
        running: the cycle of now.
    """
    known = [split for split in by_arm.values() if split is not None]
    begins, planned = campaign.begins(cycle), budget * campaign.calendar.part(cycle)
    parts: dict[str, dict[str, Any]] = {}
    missing, complete = [], True
    for platform in platforms:
        here = [cells[arm, platform] for arm in ARMS if (arm, platform) in cells]
        amount = sum(split.amount(platform) for split in known) if known else None
        expected = amount > 0 if amount is not None else campaign.share.get(platform, 0.0) > 0
        if not here and not expected:
            continue
        # Told to spend there, and silent.
        waiting = {
            arm: split.amount(platform)
            for arm, split in by_arm.items()
            if split is not None and split.amount(platform) > 0 and (arm, platform) not in cells
        }
        if not here or waiting:
            missing.append(platform)
        complete = complete and not waiting and all(cell.complete for cell in here)
        parts[platform] = {
            "told": amount,
            **_sum([cell.amounts for cell in here]),
            "reported": bool(here),
            "waiting": sum(waiting.values()),
        }
    total = _sum(list(parts.values()))
    return {
        "cycle": cycle,
        "date": begins.astimezone(zone_of(campaign)).date().isoformat(),
        "begins": begins.isoformat(),
        "state": _state(running - cycle, bool(parts), total["spend"] is not None, missing, complete, due),
        "missing": missing,
        "planned": planned,
        "told": sum(split.budget for split in known) if known else None,
        **total,
        "pace": _ratio(total["spend"], planned),
        "left": None if total["spend"] is None else planned - total["spend"],
        "platforms": parts,
        "arms": {
            arm: {
                "told": None if (split := by_arm[arm]) is None else split.budget,
                **_sum([cell.amounts for (other, _), cell in cells.items() if other == arm]),
            }
            for arm in ARMS
        },
    }


def _by_cycle(cells: Mapping[tuple[str, int, str], Cell]) -> dict[int, dict[tuple[str, str], Cell]]:
    """The cells of each cycle, by arm and platform."""
    result: dict[int, dict[tuple[str, str], Cell]] = {}
    for (arm, cycle, platform), cell in cells.items():
        result.setdefault(cycle, {})[arm, platform] = cell
    return result


def _state(age: int, spends: bool, reported: bool, missing: Sequence[str], complete: bool, due: int) -> str:
    """A cycle's state. `age`: cycles since; `spends`: some platform was to get money, or reported."""
    if age <= 0:
        return RUNNING
    if not spends:
        return STILL
    if not reported:
        return UNREPORTED
    if missing:
        return PARTLY
    return SETTLED if complete or age > due else DUE


def _due_after(arrived: Mapping[int, float]) -> int:
    """Cycles after which nearly all conversions of a cycle are there."""
    late = {delay: max(conversions, 0.0) for delay, conversions in arrived.items()}
    left = LATE_PART * sum(late.values())
    for delay in sorted(late, reverse=True):
        if delay <= 0:
            break
        if late[delay] > left:
            return min(delay, MOST_DELAY)
        left -= late[delay]
    return 0


def _total(days: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Over the range: amounts of all that was reported; ratios of what is settled, if anything is."""
    finished = [day for day in days if day["state"] != RUNNING]
    settled = [day for day in finished if day["state"] in FINAL]
    judged = settled or [day for day in finished if day["state"] in (DUE, PARTLY)]
    paced = [day for day in finished if day["state"] in (DUE, SETTLED)]
    ratios = _over(judged)
    return {
        **{key: value for key, value in _over(days).items() if key not in ("roas", "cpa")},
        "roas": ratios["roas"],
        "cpa": ratios["cpa"],
        "final": bool(settled),
        "judged": len(judged),
        "pace": _ratio(_over(paced)["spend"], sum(day["planned"] for day in paced)),
        "finished": len(finished),
        "unreported": sum(day["state"] == UNREPORTED for day in finished),
        "partly": sum(day["state"] == PARTLY for day in finished),
    }


def _platform(days: Sequence[Mapping[str, Any]], platform: str) -> dict[str, Any]:
    """A platform over the finished cycles, and since when it is silent while others report."""
    finished = [day for day in days if day["state"] != RUNNING]
    mine = [day["platforms"][platform] for day in finished if platform in day["platforms"]]
    since = None
    for day in reversed(finished):
        if day["state"] == UNREPORTED:
            continue
        if day["platforms"].get(platform, {"reported": True})["reported"]:
            break
        since = day["date"]
    return {**_over(mine), "silent_since": since}


def _left(campaign: Campaign, platforms: Sequence[str], known: Read, now: datetime, silent: int) -> dict[str, Any]:
    """Money left of the flight and of the cycle that runs, currency."""
    newest = list(cycles(campaign, platforms, known, now, tail(campaign, now, silent)))
    name, running = campaign.campaign_id, _clip(campaign.cycle(now), campaign.cycles)
    edits, flight = known.edits.get(name, ()), known.flights.get(name)
    assumed = 0.0
    if flight is None or name in known.reported:
        assumed = _unreported(campaign, newest, known, running)
    reported = [day["cycle"] for day in newest if day["state"] not in (RUNNING, STILL, UNREPORTED)]
    assumed += sum(_awaited(arm, reported, name, known, silent) for arm in ARMS)
    plan, spent = _plan(campaign, edits, 0, campaign.cycles), 0.0 if flight is None else flight.spend
    today = next((day for day in newest if day["state"] == RUNNING), None)
    rest = None
    if today is not None and today["told"] is not None and today["spend"] is not None:
        rest = today["told"] - today["spend"]
    return {
        "flight": plan,
        "spent": None if flight is None and running > 0 else spent,  # unknown is not 0
        "assumed": assumed,
        "left": plan - spent - assumed,
        "running": rest,
    }


def _awaited(arm: str, reported: Sequence[int], name: str, known: Read, silent: int) -> float:
    """What an arm's platforms without a report are taken to have spent in cycles of which something was reported."""
    splits, cells = known.splits.get(name, {}), known.cells.get(name, {})
    total, runs = 0.0, dict[str, list[float]]()
    for cycle in reported:
        split = splits.get((arm, cycle))
        if split is None:
            continue
        told = {platform: split.amount(platform) for platform in split.share if split.amount(platform) > 0}
        spent = {
            platform for (other, at, platform), cell in cells.items() if (other, at) == (arm, cycle) and cell.priced
        }
        if not spent:  # nothing of the arm: unknown for good, and no platform's silence
            total += sum(told.values())
            continue
        for platform in told.keys() - spent:
            runs.setdefault(platform, []).append(told[platform])
        for platform in runs.keys() & spent:
            total += _as_spent(runs.pop(platform), silent)
    return total + sum(_as_spent(run, silent) for run in runs.values())


def _as_spent(run: Sequence[float], silent: int) -> float:
    """Of a platform's money in cycles of silence that follow each other."""
    return sum(run) if len(run) < silent else 0.0


def _unreported(campaign: Campaign, newest: Sequence[Mapping[str, Any]], known: Read, running: int) -> float:
    """What finished cycles without any report are taken to have spent: as planned, the newest as they were told."""
    name = campaign.campaign_id
    edits, reported = known.edits.get(name, ()), known.reported.get(name, set())
    going = _going(campaign, known.pauses.get(name, ()), running)
    counted = [cycle for cycle in reported if any(first <= cycle < stop for first, stop in going)]
    if len(counted) == sum(stop - first for first, stop in going):
        return 0.0
    total = sum(_plan(campaign, edits, first, stop) for first, stop in going)
    total -= sum(_plan(campaign, edits, cycle, cycle + 1) for cycle in counted)
    for day in newest:
        cycle, said = day["cycle"], day["told"]
        if (
            cycle < running
            and said is not None
            and cycle not in reported
            and any(first <= cycle < stop for first, stop in going)
        ):
            total += said - day["planned"]
    return total


def _going(campaign: Campaign, pauses: Sequence[tuple[datetime, bool]], running: int) -> list[tuple[int, int]]:
    """Stretches of finished cycles, first and one past the last, of which the campaign was not paused all through."""
    going, start, since = [], 0, None
    for at, paused in [*pauses, (None, False)]:
        if paused:
            since = since or at
        elif since is not None:
            first = campaign.cycle(since) + (campaign.begins(campaign.cycle(since)) < since)
            stop = running if at is None else campaign.cycle(at)
            if _clip(first, running) < _clip(stop, running):
                going.append((start, _clip(first, running)))
                start = _clip(stop, running)
            since = None
    return [(first, stop) for first, stop in [*going, (start, running)] if first < stop]


def _plan(campaign: Campaign, edits: Sequence[tuple[datetime, float]], first: int, stop: int) -> float:
    """Budget of the cycles from `first` to before `stop`, each at that in force, currency: without a walk over them."""
    changes = {min(max(campaign.cycle(at), first), stop) for at, _ in edits}
    calendar, plan = campaign.calendar, 0.0
    for low, high in pairwise(sorted({first, stop, *changes})):
        budget = budget_at(campaign.cycle_budget, edits, campaign.ends(low))
        plan += budget * (calendar.parts(high) - calendar.parts(low))
    return plan


def _clip(cycle: int, cycles: int) -> int:
    """Within a flight."""
    return min(max(cycle, 0), cycles)


def _sum(amounts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Amounts and their ratios; `None` where nothing was reported."""
    known = [one for one in amounts if one["spend"] is not None]
    if not known:
        return dict.fromkeys((*QUANTITIES, "roas", "cpa"))
    total = {key: sum(one[key] for one in known) for key in QUANTITIES}
    return {**total, **{key: METRIC[key].of(total) for key in ("roas", "cpa")}}


def _over(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """`_sum`, with what was told."""
    told = [part["told"] for part in parts if part["told"] is not None]
    return {"told": sum(told) if told else None, **_sum(parts)}


def _ratio(top: float | None, bottom: float) -> float | None:
    return None if top is None or bottom <= 0 else top / bottom
