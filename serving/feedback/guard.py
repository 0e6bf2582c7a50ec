"""Which reports are not believed, before statistics are made of them.

Of campaigns whose feedback changed the newest cells of both arms are tested (`crossmix.market.plausible`) against
themselves, the money told, the market that the champion was planned in, and each other. What cannot be so is held in
the ledger (`crossmix.ledger.quarantine`): its cells are unknown to the statistics until a person confirms or discards
them, or what was reported is corrected. A campaign that the champion's market does not know (a new one, one of another
currency or length of cycle) is tested by what needs no market.

Shapes: T rows, C campaigns.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

import numpy as np

from crossmix.bundle import Bundle
from crossmix.config import Guard
from crossmix.ledger import quarantine, returned
from crossmix.ledger.campaigns import Campaign
from crossmix.ledger.quarantine import CONFIRMED, HELD, Cell, Entry
from crossmix.ledger.returned import Returned
from crossmix.ledger.store import Store
from serving.feedback.cells import Cells
from serving.feedback.gaps import Key, Missing

if TYPE_CHECKING:
    from crossmix.market.plausible import Suspect
    from crossmix.market.usual_file import Named

_log = logging.getLogger(__name__)
WHAT = "guard"
ROWS = 21
"""Cycles that are tested, beside those that conversions may come from."""
LONGEST = 7
"""Cycles that a test looks at together."""
_WORST = {"identity": 0, "overspent": 1, "impossible": 2, "disagree": 3, "shared": 4}
"""Which of several causes a cell is held for."""


class Guarded(Protocol):
    """What the guard needs of the server."""

    @property
    def bundle(self) -> Bundle:
        """That serves."""

    @property
    def platforms(self) -> tuple[str, ...]:
        """In slot order."""

    @property
    def campaigns(self) -> Mapping[str, Campaign]:
        """As last read."""


@dataclass(frozen=True, slots=True)
class Unbelieved:
    """What of a campaign's arm is not believed."""

    cells: Mapping[tuple[int, int], int] = field(default_factory=dict)
    """By cycle and slot, how much is not."""
    held: tuple[Entry, ...] = ()
    """Those that wait for a person."""


NONE = Unbelieved()


class Doorkeeper:
    """Looks at what came in, and says what is not believed.

    Args:
        settings: `serving.guard`.
    """

    def __init__(self, live: Guarded, settings: Guard) -> None:
        self.live, self.settings = live, settings
        self._usual: tuple[str, Named | None] = ("", None)

    def look(self, store: Store, names: Collection[str], now: datetime) -> list[Cell]:
        """Test the newest cells of these campaigns; the cells that are held now, or no more.

        Raises:
            StoreAwayError: the database is away.
        """
        known = quarantine.read(store, names)
        of = {one.cell: one for one in known}
        confirmed = [one for one in known if one.state == CONFIRMED]
        held: dict[Cell, Entry] = {}
        released: list[Entry] = []
        usual = self._of_bundle()
        for rows in returned.read(store, self.live.platforms, now, campaigns=names, newest=self._newest(usual)):
            tested = _tested(rows, LONGEST - 1 + self._delays(usual))
            found = self._held(rows, usual, tested, now)
            fresh = {
                cell: one
                for cell, one in found.items()
                if (cell not in of or (of[cell].actor == quarantine.GUARD and of[cell].believed))
                and not any(before.covers(one) for before in confirmed)
            }
            held |= fresh
            released += [
                one
                for one in known
                if one.state == HELD and one.cycle in tested.get(one.campaign_id, ()) and one.cell not in found
            ]
        changed = quarantine.update(store, list(held.values()), released, now)
        for cell in changed:
            if cell in held:
                _log.warning("held: %s", held[cell].sentence)
        return changed

    def of(self, store: Store, names: Collection[str]) -> dict[Key, Unbelieved]:
        """What is not believed of these campaigns' arms; raises `StoreAwayError`."""
        slot = {name: index for index, name in enumerate(self.live.platforms)}
        kept: dict[Key, list[Entry]] = {}
        for one in quarantine.read(store, names, quarantine.UNBELIEVED):
            if one.platform in slot:
                kept.setdefault((one.campaign_id, one.arm), []).append(one)
        return {
            key: Unbelieved(
                {(one.cycle, slot[one.platform]): one.doubt for one in some},
                tuple(one for one in some if one.state == HELD),
            )
            for key, some in kept.items()
        }

    # ---- the tests ---------------------------------------------------------------------------------------------------

    def _of_bundle(self) -> Named | None:
        """What the market of the bundle that serves holds for usual; `None`: the bundle does not tell."""
        bundle = self.live.bundle
        if self._usual[0] != bundle.digest:
            file = bundle.extra("usual.npz")
            named = None
            if file is not None:
                from crossmix.market import usual_file

                named = usual_file.load(file)
            self._usual = bundle.digest, named
        return self._usual[1]

    @staticmethod
    def _delays(usual: Named | None) -> int:
        return 0 if usual is None else len(usual.usual.delay_DCP) - 1

    def _newest(self, usual: Named | None) -> int:
        return ROWS + LONGEST - 1 + self._delays(usual)

    def _held(
        self, rows: Returned, usual: Named | None, tested: Mapping[str, Collection[int]], now: datetime
    ) -> dict[Cell, Entry]:
        """Every suspect cell of campaigns whose cycles are equally long."""
        from crossmix.market.plausible import suspects

        names = next(iter(rows.arms.values())).campaigns
        knows_C = np.array([usual is not None and self._knows(usual, rows, name) for name in names], bool)
        found: list[Suspect] = []
        for law, keep_C in ((True, knows_C), (False, ~knows_C)):
            if keep_C.any():
                some = {arm: one.only(keep_C) for arm, one in rows.arms.items()}
                own = usual.of_campaigns(next(iter(some.values())).campaigns) if law and usual is not None else None
                found += suspects(own, some, self.settings)
        return _entries([one for one in found if one.cycle in tested[one.campaign]], rows, now)

    def _knows(self, usual: Named, rows: Returned, name: str) -> bool:
        """Whether a campaign is one of the market's, in its currency, with cycles of its length."""
        plan, campaign = self.live.bundle.plans.get(name), self.live.campaigns.get(name)
        same = plan is not None and campaign is not None and plan.currency == campaign.currency
        return same and name in usual.campaigns and abs(rows.cycle_hours / 24 - usual.usual.days) < 1e-9


def _tested(rows: Returned, first: int) -> dict[str, set[int]]:
    """By campaign, the cycles of which every test has all that it looks at: those from row `first` on, and all of a
    flight whose beginning is there."""
    one = next(iter(rows.arms.values()))
    tested = {}
    for name, cycle_T in zip(one.campaigns, one.cycle_TC.T.tolist(), strict=True):
        some = cycle_T if 0 in cycle_T else cycle_T[first:]
        tested[name] = {cycle for cycle in some if cycle >= 0}
    return tested


def _entries(found: Iterable[Suspect], rows: Returned, now: datetime) -> dict[Cell, Entry]:
    """Every cell that some test names and that reported something, for the worst cause."""
    entries: dict[Cell, Entry] = {}
    any_arm = next(iter(rows.arms.values()))
    column = {name: c for c, name in enumerate(any_arm.campaigns)}
    slot = {name: p for p, name in enumerate(any_arm.platforms)}
    row_of = [{cycle: t for t, cycle in enumerate(any_arm.cycle_TC[:, c].tolist())} for c in range(len(column))]
    for one in sorted(found, key=lambda one: (_WORST[one.cause], one.cycle)):
        c, p, feedback = column[one.campaign], slot[one.platform], rows.arms[one.arm]
        for cycle in range(one.first, one.cycle + 1):
            cell = Cell(one.campaign, one.arm, one.platform, cycle)
            t = row_of[c].get(cycle)
            if t is None or cell in entries:
                continue
            if not (np.isfinite(feedback.spend_TCP[t, c, p]) or np.isfinite(feedback.conversions_TCP[t, c, p])):
                continue
            entries[cell] = Entry(
                *cell, one.cause, one.quantity, one.observed, one.expected, one.z, one.sentence,
                now, HELD, quarantine.GUARD, "", now,
            )  # fmt: skip
    return entries


# ---- what is said of it ----------------------------------------------------------------------------------------------


def told(
    found: Missing,
    campaign: Campaign,
    arm: str,
    platforms: Sequence[str],
    held: Sequence[Entry],
    cells: Cells,
    hold: int,
) -> Missing:
    """What a campaign's arm lacks, with what of it is held: a sentence for each platform."""
    whose = f"campaign {campaign.campaign_id}, arm {arm}"
    cold = {platforms[slot] for slot in cells.cold}
    notes, troubles = [], []
    for platform in platforms:
        mine = [one for one in held if one.platform == platform]
        if mine:
            first = min(one.cycle for one in mine)
            why = f"cells of platform {platform} of {whose} held since cycle {first}: {short(mine[-1])}"
            since = campaign.begins(first).isoformat()
            troubles.append({"what": WHAT, "why": why, "since": since})
            notes.append(why)
        if platform in cold:
            notes.append(
                f"platform {platform} of {whose} has been held for more than {hold} cycles: its statistics are those "
                "of the log"
            )
    if not notes:
        return found
    return replace(found, notes=(*found.notes, *notes), troubles=(*found.troubles, *troubles), held=len(held))


def short(one: Entry) -> str:
    """What is wrong, in a few words."""
    if one.cause == "identity":
        return f"{one.quantity} {one.observed:,.6g} against {one.expected:,.6g}, which cannot be"
    if one.cause == "shared":
        return f"{one.quantity} of {one.observed:g} other platforms is suspect"
    against = {"overspent": "what was told", "impossible": "what is usual", "disagree": "what the other arm has"}
    times = f"{one.observed / one.expected:.2g}x" if one.expected > 0 else f"{one.observed:,.6g} against nothing:"
    return f"{one.quantity} {times} {against[one.cause]}"


__all__ = ["Doorkeeper", "Unbelieved", "short", "told"]
