"""What feedback is missing, and how old the newest is, by campaign and arm.

Rounds in the background work it out (`serving.feedback.materialise`); answers, page and metrics read what is kept, and
never wait for the database.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from crossmix.ledger.campaigns import Campaign
from serving.feedback.cells import Cells

Key = tuple[str, str]
"""Campaign and arm."""
WHAT = "feedback"
MOST_SENTENCES = 20


@dataclass(frozen=True, slots=True, eq=False)
class Missing:
    """What a campaign's arm lacks; the same object until it changes."""

    notes: tuple[str, ...] = ()
    """For every answer."""
    troubles: tuple[dict[str, str], ...] = ()
    """Of them, what is so now, and since when."""
    unreported: int = 0
    """Finished cycles of which nothing is reported, though they were told money."""
    held: int = 0
    """Cells that are not believed and wait for a person."""
    silent: tuple[tuple[int, int], ...] = ()
    """Slots of platforms that are silent for so long that they are only probed, and for how many cycles."""


NOTHING = Missing()


def missing(campaign: Campaign, arm: str, platforms: Sequence[str], cells: Cells) -> Missing:
    """What the cells of a flight that goes on lack, in sentences."""
    whose = f"campaign {campaign.campaign_id}, arm {arm}"
    troubles = []
    since = cells.silent_since
    if since is not None:
        troubles.append(_nothing(campaign, arm, since))
    alike: dict[tuple[int, int, bool], list[str]] = {}
    for one in cells.silences:
        alike.setdefault((one.since, one.cycles, one.returned), []).append(platforms[one.slot])
    for (first, many, returned), names in alike.items():
        # In one sentence: a campaign that uses two of ten platforms must not hide what others lack.
        its, each = ("its", "platform") if len(names) == 1 else ("their", "platforms")
        money = f"the money of {its} {many} silent cycles counts as unspent"
        if not returned:
            money = f"{its} money counts as spent as told"
        why = f"{each} {', '.join(names)} of {whose} silent since cycle {first}: {money}"
        troubles.append({"what": WHAT, "why": why, "since": campaign.begins(first).isoformat()})
    notes = [trouble["why"] for trouble in troubles]
    silent = tuple((one.slot, one.cycles) for one in cells.silences if one.returned)
    holes = [cycle for cycle in cells.unreported if since is None or cycle < since]
    if holes:
        listed = ", ".join(map(str, holes[:5])) + (", ..." if len(holes) > 5 else "")
        notes.append(f"no feedback of {whose} of cycles {listed}: their money counts as spent as told")
    return Missing(tuple(notes), tuple(troubles), len(cells.unreported), silent=silent) if notes else NOTHING


def _nothing(campaign: Campaign, arm: str, since: int) -> dict[str, str]:
    moment = campaign.begins(since).isoformat()
    whose = f"campaign {campaign.campaign_id}, arm {arm}"
    why = f"no feedback of {whose} since {moment} (cycle {since}): the pace holds the plan"
    return {"what": WHAT, "why": why, "since": moment}


class Gaps:
    """What is missing, as last worked out."""

    def __init__(self) -> None:
        self._missing: dict[Key, Missing] = {}
        self._received: Mapping[Key, datetime] | None = None
        self._silent: dict[Key, tuple[Campaign, float, float, Missing]] = {}

    # ---- written by the rounds ---------------------------------------------------------------------------------------

    def heard(self, received: Mapping[Key, datetime]) -> None:
        """When the newest event of each campaign's arm came in: of all that have any."""
        self._received = received

    def note(self, key: Key, found: Missing) -> None:
        """What a campaign's arm that has feedback lacks; one that lacks the same keeps its object."""
        old = self._missing.get(key, NOTHING)
        if _content(old) != _content(found):
            self._missing[key] = found

    def broken(self, campaign: Campaign, arm: str, why: str, now: datetime) -> bool:
        """Its statistics could not be made; the last good ones serve. Whether that is new."""
        sentence = f"statistics of campaign {campaign.campaign_id}, arm {arm}: {why}"
        trouble = {"what": "statistics", "why": sentence, "since": now.isoformat()}
        old = self._missing.get((campaign.campaign_id, arm), NOTHING)
        if any(one["why"] == sentence for one in old.troubles):
            return False
        self.note((campaign.campaign_id, arm), replace(old, notes=(sentence,), troubles=(trouble,)))
        return True

    # ---- read by answers, page and metrics ---------------------------------------------------------------------------

    def of(self, campaign: Campaign, arm: str, seconds: float) -> Missing:
        """What a campaign's arm that is asked about lacks.

        Args:
            seconds: the time, UTC.
        """
        key = campaign.campaign_id, arm
        if self._received is None or key in self._received:
            return self._missing.get(key, NOTHING)
        # It never had feedback: nobody but who asks for it knows that it runs.
        kept = self._silent.get(key)
        if kept is None or kept[0] is not campaign or not kept[1] <= seconds < kept[2]:
            kept = self._silent[key] = _never_heard(campaign, arm, seconds)
        return kept[3]

    def troubles(self, most: int = MOST_SENTENCES, what: str | None = None) -> list[dict[str, str]]:
        """What is missing anywhere: so many sentences, and how many more there are.

        Args:
            what: only troubles of this kind.
        """
        kept = sorted(self._all().items())
        every = [trouble for _, found in kept for trouble in found.troubles if what in (None, trouble["what"])]
        if len(every) <= most:
            return every
        since = min(trouble["since"] for trouble in every[most:])
        return [
            *every[:most],
            {"what": what or WHAT, "why": f"and {len(every) - most:,} more like these", "since": since},
        ]

    def unreported(self) -> dict[Key, int]:
        """Finished cycles of which nothing is reported, of those that have any."""
        return {key: found.unreported for key, found in self._all().items() if found.unreported}

    def held(self) -> dict[Key, int]:
        """Cells that are not believed and wait for a person, of those that have any."""
        return {key: found.held for key, found in self._all().items() if found.held}

    def ages(self, campaigns: Mapping[str, Campaign], now: datetime) -> list[tuple[str, str, float]]:
        """Seconds since the newest event of each running campaign's arm; since its start where none ever came."""
        newest: dict[Key, datetime | None] = {**dict.fromkeys(list(self._silent)), **(self._received or {})}
        found = []
        for (name, arm), received in sorted(newest.items(), key=lambda one: one[0]):
            campaign = campaigns.get(name)
            if campaign is not None and 0 <= campaign.cycle(now) < campaign.cycles:
                age = now - (campaign.starts if received is None else received)
                found.append((name, arm, max(age.total_seconds(), 0.0)))
        return found

    def _all(self) -> dict[Key, Missing]:
        received: Mapping[Key, Any] = self._received or {}
        never = {key: one[3] for key, one in list(self._silent.items()) if key not in received}
        return {**never, **{key: one for key, one in list(self._missing.items()) if key in received}}


def _content(one: Missing) -> tuple[Any, ...]:
    return one.notes, one.troubles, one.unreported, one.held, one.silent


def _never_heard(campaign: Campaign, arm: str, seconds: float) -> tuple[Campaign, float, float, Missing]:
    """What it lacks, and from when to when that holds."""
    running = campaign.cycle(datetime.fromtimestamp(seconds, UTC))
    within = campaign.begins(running).timestamp(), campaign.ends(running).timestamp()
    if campaign.paused or not 1 <= running < campaign.cycles:
        return (campaign, *within, NOTHING)
    trouble = _nothing(campaign, arm, 0)
    return (campaign, *within, Missing((trouble["why"],), (trouble,), running))
