"""What is known of a flight, cell by cell: what was told to spend, what was reported, and what is unknown.

A cell is a cycle's platform. Its **money** is known once it has reported spend (a correction or a refund that
brings it to 0 reports 0), is marked complete, or was told none:
then what it did not spend is unspent, and returns. Until then its money counts as spent as told, as the split last
served in the cycle says, a pause within it aside (the static split of the plan where none was; nothing before the first
cycle that was served or reported, and in a pause of the whole cycle). A platform that tells no spend for `silent`
cycles of which others do tell some is taken at its word: what those cycles were told counts as unspent. Of a cycle of
which nothing at all is reported that cannot be said, whatever its age: its money stays held.

What feeds the windowed statistics is the cell's **delivery**, known once anything was delivered, or with its money. A
cell whose delivery is unknown enters neither what was planned nor what came of it.

A cell that is **held** (`crossmix.ledger.quarantine`) is not believed, whatever it reports. Where only conversions or
revenue are wrong, what arrived in it is unknown (`guessed_CP`), its delivery and money are as reported. Where clicks
are wrong its delivery is unknown; where delivery or spend are, its money counts as spent as told, too. A platform whose
newest cells are held, more than `hold` of them, is **cold**: its older cells say nothing of now either, and all that
they delivered is unknown, while their money stays.

Conversions and revenue count in the cycle in which they became known, as they do where the policy is trained; but those
that come with a cell's first report, if that is late, count in the cell's own cycle.

Shapes: C cycles, P platforms, Q quantities.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from crossmix.ledger.feedback import Increment
from crossmix.ledger.quarantine import ALL, RESPONSE
from crossmix.ledger.served import Split

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Whole = NDArray[np.int64]
REQUESTS, WON, IMPRESSIONS, CLICKS, SPEND = range(5)
"""Of `Increment.delivered`."""
_PLACE = ("cycle", "slot", "known")


@dataclass(frozen=True, slots=True, eq=False)
class Flight:
    """What the database holds of a campaign's arm, and what was planned."""

    increments: Sequence[Increment]
    known: Collection[tuple[int, int]]
    """Cycle and slot of cells marked complete, or whose spend a correction or a refund has brought to 0."""
    splits: Mapping[int, Split]
    """By cycle, as last served."""
    static_P: Array
    """Split of the plan."""
    plan: Callable[[int], float]
    """The arm's planned budget of a cycle, currency, as it was in force."""
    cycles: int
    """Planned."""
    stood_still: Callable[[int], bool] = lambda _: False
    """Whether the campaign was paused throughout a cycle."""
    held: Mapping[tuple[int, int], int] = field(default_factory=dict)
    """Of cells that are not believed, by cycle and slot, how much is not: `quarantine.ARRIVALS`, `RESPONSE`, `ALL`."""
    hold: int = 0
    """Cycles on end that a platform may be held before it is cold; 0: for ever."""

    @property
    def first(self) -> int | None:
        """The first cycle that was served or reported; `None`: none was. Asked before its start, nothing is served."""
        served = (cycle for cycle in self.splits if cycle >= 0)
        return min((*served, *(one.cycle for one in self.increments)), default=None)


@dataclass(frozen=True, slots=True)
class Silence:
    """A platform that tells no spend while others do."""

    slot: int
    since: int
    """Its first such cycle."""
    cycles: int
    """How many, up to the newest."""
    returned: bool
    """Their money counts as unspent."""


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """A flight up to a finished cycle."""

    delivered_CPQ: Array
    """As `Increment.delivered`."""
    arrived_CPQ: Array
    """Conversions and revenue, in the cycle in which they count."""
    told_CP: Array
    """Currency."""
    share_CP: Array
    """Split in force; that of the cycle before where nothing was served and nothing came."""
    plan_C: Array
    """Planned budget, currency, the coming cycle's included: (C + 1,)."""
    known_CP: Mask
    """The cell's delivery is known."""
    spent_CP: Array
    """What counts as spent, currency."""
    unreported: tuple[int, ...]
    """Cycles that were told money and of which no spend is known, in order."""
    silences: tuple[Silence, ...]
    """Platforms that are silent as of the newest cycle."""
    guessed_CP: Mask | None = None
    """Of known delivery, what arrived is not believed; `None`: nowhere."""
    cold: tuple[int, ...] = ()
    """Slots of platforms that were held for so long that nothing of before counts."""

    @property
    def silent_since(self) -> int | None:
        """First of the newest cycles of which nothing is known; `None`: the newest is known."""
        since, missing = len(self.told_CP), set(self.unreported)
        while since - 1 in missing:
            since -= 1
        return since if since < len(self.told_CP) else None


def cells(flight: Flight, newest: int, silent: int, *, as_known_then: bool = False) -> Cells:
    """The flight's cells up to cycle `newest`, which has finished.

    Args:
        silent: cycles of a platform's silence after which its money counts as unspent.
        as_known_then: of what was known at the newest cycle's end alone, and not of all that is known now.
    """
    size, platforms = newest + 1, len(flight.static_P)
    counted = [one for one in flight.increments if one.cycle <= newest and (one.known <= newest or not as_known_then)]
    delivered_CPQ, arrived_CPQ = np.zeros((size, platforms, 5)), np.zeros((size, platforms, 2))
    cycle_N, slot_N, known_N = (np.array([getattr(one, name) for one in counted], np.int64) for name in _PLACE)
    delivered_NQ = np.array([one.delivered for one in counted], np.float64).reshape(-1, 5)
    arrived_NQ = np.array([one.arrived for one in counted], np.float64).reshape(-1, 2)
    # One by one in their order, as sums of floats depend on it.
    np.add.at(delivered_CPQ, (cycle_N, slot_N), delivered_NQ)
    known_N = _counts_in(flight, newest, as_known_then, cycle_N, slot_N, known_N, (delivered_NQ != 0).any(1))
    here_N = known_N <= newest
    np.add.at(arrived_CPQ, (known_N[here_N], slot_N[here_N]), arrived_NQ[here_N])
    reported_CP: Mask = np.zeros((size, platforms), bool)
    # Any, and not the sum: what is refunded in full is reported, too, and returns.
    spent_N = delivered_NQ[:, SPEND] != 0
    reported_CP[cycle_N[spent_N], slot_N[spent_N]] = True
    for cycle, slot in flight.known:
        if cycle <= newest:
            reported_CP[cycle, slot] = True
    active_C = np.zeros(size, bool)
    active_C[cycle_N] = True
    told_CP, share_CP, plan_C = _told(flight, size, active_C)
    unreported_C: Mask = np.asarray(~reported_CP.any(1) & (told_CP > 0).any(1))
    returned_CP, silences = _silent(reported_CP, told_CP > 0, unreported_C, silent)
    doubt_CP, cold_P = _held(flight, size)
    priced_CP = reported_CP | (told_CP <= 0)
    spent_CP = np.where(priced_CP & (doubt_CP < ALL) | returned_CP, delivered_CPQ[:, :, SPEND], told_CP)
    unknown_CP = (doubt_CP >= RESPONSE) | cold_P
    delivered_CPQ[unknown_CP], arrived_CPQ[(doubt_CP > 0) | cold_P] = 0.0, 0.0
    known_CP = (priced_CP | (delivered_CPQ != 0).any(2)) & ~unknown_CP
    return Cells(
        delivered_CPQ, arrived_CPQ, told_CP, share_CP, plan_C, known_CP, spent_CP,
        tuple(np.flatnonzero(unreported_C).tolist()), tuple(silences),
        known_CP & (doubt_CP > 0), tuple(np.flatnonzero(cold_P).tolist()),
    )  # fmt: skip


def _held(flight: Flight, size: int) -> tuple[NDArray[np.int64], Mask]:
    """How much of each cell is not believed, 0: nothing, (C, P), and platforms that are cold, (P,)."""
    doubt_CP = np.zeros((size, len(flight.static_P)), np.int64)
    for (cycle, slot), much in flight.held.items():
        if cycle < size:
            doubt_CP[cycle, slot] = much
    cold_P: Mask = np.zeros(doubt_CP.shape[1], bool)
    if 0 < flight.hold < size:
        cold_P = np.asarray((doubt_CP[size - 1 - flight.hold :] > 0).all(0))
    return doubt_CP, cold_P


def _counts_in(
    flight: Flight, newest: int, as_known_then: bool, cycle_N: Whole, slot_N: Whole, known_N: Whole, any_N: Mask
) -> Whole:
    """By increment, the cycle in which its arrivals count, (N,).

    Args:
        any_N: whether it delivered anything.
    """
    first_CP = np.full((newest + 1, len(flight.static_P)), np.iinfo(np.int64).max)
    np.minimum.at(first_CP, (cycle_N[any_N], slot_N[any_N]), known_N[any_N])
    counts_N = np.where(first_CP[cycle_N, slot_N] == known_N, cycle_N, known_N)
    if newest >= flight.cycles - 1:
        return np.minimum(counts_N, newest)  # the flight's last row takes in all that comes after it
    if as_known_then:
        return counts_N
    return np.where(counts_N > newest + 1, cycle_N, counts_N)  # received while the clock ran ahead


def _told(flight: Flight, size: int, active_C: Mask) -> tuple[Array, Array, Array]:
    """What each cell was told to spend, the split in force, and each cycle's plan (C + 1,)."""
    plan_C = np.array([flight.plan(cycle) for cycle in range(size + 1)])
    told_CP, share_CP = np.zeros((size, len(flight.static_P))), np.zeros((size, len(flight.static_P)))
    share_P, first = flight.static_P, flight.first
    for cycle in range(size):
        split = flight.splits.get(cycle)
        ran = first is not None and cycle >= first and not flight.stood_still(cycle)
        if split is not None:
            share_P = split.share_P
            told_CP[cycle] = split.share_P * split.budget
        else:
            if active_C[cycle]:
                share_P = flight.static_P
            if active_C[cycle] or ran:
                told_CP[cycle] = flight.static_P * plan_C[cycle]
        share_CP[cycle] = share_P
    return told_CP, share_CP, plan_C


def _silent(reported_CP: Mask, told_CP: Mask, unreported_C: Mask, silent: int) -> tuple[Mask, list[Silence]]:
    """Cells whose money counts as unspent as their platform told no spend for so long, and who is silent now."""
    returned_CP, silences = np.zeros_like(reported_CP), []
    quiet_CP = told_CP & ~reported_CP & ~unreported_C[:, None]
    for slot in np.flatnonzero(quiet_CP.any(0)).tolist():
        runs: list[list[int]] = [[]]
        for cycle in np.flatnonzero(~unreported_C).tolist():
            if reported_CP[cycle, slot]:
                runs.append([])
            elif told_CP[cycle, slot]:
                runs[-1].append(cycle)
        for run in runs:
            if len(run) >= silent:
                returned_CP[run, slot] = True
        if runs[-1]:
            silences.append(Silence(slot, runs[-1][0], len(runs[-1]), len(runs[-1]) >= silent))
    return returned_CP, silences
