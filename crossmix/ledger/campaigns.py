"""Campaigns and their overrides as the ledger keeps them; what a field may be is the business of `serving.campaigns`.

Every change is part of one transaction that also writes the audit trail: `changing` gives the table, the rules between
reading and writing are the caller's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from numpy.typing import NDArray

from crossmix.constraints import Limits
from crossmix.cycles import Cycles
from crossmix.ledger import tables
from crossmix.ledger.audit import LONGEST_ACTOR, LONGEST_REASON, record, record_all
from crossmix.ledger.store import Store
from crossmix.ledger.tables import utc

FREE: dict[str, Any] = {"min": 0.0, "max": 1.0, "step": 1.0, "freeze": False}
"""A platform's limits where none are given: shares of the cycle budget, and whether the share stays."""
FIELDS = ("campaign_id", "currency", "cycle_budget", "share", "limits", "starts", "cycles", "cycle_hours", "timezone")
"""What a person plans."""
CHANGES = (
    "campaign.create",
    "campaign.edit",
    "campaign.pause",
    "campaign.resume",
    "override.set",
    "override.lift",
)
"""What the audit trail calls the changes of a campaign."""
BLOCK = 500
"""Names in one statement: some databases take some hundred values only."""


@dataclass(frozen=True, slots=True)
class Override:
    """A person's split, served in every arm until it is lifted."""

    kind: str
    """static (the kill switch) or given."""
    share: dict[str, float] | None
    """Platform to its share, of a given split; sums to 1."""
    actor: str
    reason: str
    at: datetime
    """UTC."""

    def as_dict(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "share": self.share,
            "actor": self.actor,
            "reason": self.reason,
            "at": self.at.isoformat(),
        }

    @staticmethod
    def from_dict(raw: Mapping[str, Any]) -> Override:
        """An override that `as_dict` wrote, also under the names of before: `who`, `why`."""
        actor, reason = raw.get("actor", raw.get("who", "")), raw.get("reason", raw.get("why", ""))
        return Override(raw["kind"], raw["share"], actor, reason, utc(datetime.fromisoformat(raw["at"])))


@dataclass(frozen=True, slots=True)
class Campaign:
    """One campaign; `serving.campaigns.schema.NewCampaign` says what each field may be."""

    campaign_id: str
    currency: str
    """Three capital letters, or what a bundle's log calls its money."""
    cycle_budget: float
    """Of all arms together, currency per cycle."""
    share: dict[str, float]
    """Platform to its share of the static split; sums to 1."""
    limits: dict[str, dict[str, Any]]
    """Platform to {"min", "max", "step", "freeze"}; what is absent is 0, 1, 1, False."""
    starts: datetime
    """Start of cycle 0, UTC."""
    cycles: int
    """Planned."""
    cycle_hours: float
    paused: bool = False
    override: Override | None = None
    timezone: str | None = None
    """IANA, whose calendar days its cycles are; `None`: they have a fixed length."""

    @property
    def calendar(self) -> Cycles:
        """When its cycles begin and end."""
        return Cycles(self.starts, self.cycle_hours, self.timezone)

    def cycle(self, now: datetime) -> int:
        """The cycle at a moment: below 0 before the start, `cycles` or more after the end."""
        return self.calendar.cycle(now)

    def begins(self, cycle: int) -> datetime:
        """Start of a cycle, UTC."""
        return self.calendar.begins(cycle)

    def ends(self, cycle: int) -> datetime:
        """End of a cycle, UTC."""
        return self.calendar.ends(cycle)

    def budget_of(self, cycle: int) -> float:
        """Budget of a cycle, of all arms together, currency: a first cycle within its day has its part of the day's."""
        return self.cycle_budget * self.calendar.part(cycle)

    def box(self, platforms: Sequence[str]) -> Limits[NDArray[Any]]:
        """The limits in slot order."""
        rows = [{**FREE, **self.limits.get(name, {})} for name in platforms]
        return Limits.arrays({key: [row[key] for row in rows] for key in FREE})

    def planned(self) -> dict[str, Any]:
        """What a person plans, as plain data."""
        return {name: getattr(self, name) for name in FIELDS} | {"starts": self.starts.isoformat()}

    def as_dict(self) -> dict[str, Any]:
        """Plain data, override included; `from_dict` reads it back."""
        override = None if self.override is None else self.override.as_dict()
        return {**self.planned(), "paused": self.paused, "override": override}

    @staticmethod
    def from_dict(raw: Mapping[str, Any]) -> Campaign:
        """A campaign that `as_dict` wrote; not checked anew."""
        override, starts = raw.get("override"), raw["starts"]
        starts = utc(datetime.fromisoformat(starts) if isinstance(starts, str) else starts)
        return Campaign(
            **{**raw, "starts": starts, "override": None if override is None else Override.from_dict(override)}
        )


class CampaignTable:
    """Campaigns and overrides within one transaction; each change writes its audit entry."""

    def __init__(self, connection: sa.Connection, at: datetime, actor: str, reason: str) -> None:
        self._connection, self._at = connection, at
        self._actor, self._reason = actor, reason

    def all(self) -> dict[str, Campaign]:
        """Every campaign with its override, by name."""
        return _load(self._connection)

    def one(self, campaign_id: str) -> Campaign | None:
        """A campaign with its override; `None`: there is none of that name."""
        return _load(self._connection, campaign_id).get(campaign_id)

    def some(self, names: Iterable[str]) -> dict[str, Campaign]:
        """Those campaigns of these names that there are."""
        wanted, found = sorted(set(names)), {}
        for start in range(0, len(wanted), BLOCK):
            found.update(_load(self._connection, *wanted[start : start + BLOCK]))
        return found

    def names(self, most: int | None = None) -> list[str]:
        """Names of all campaigns in their order, or of the first so many."""
        query = sa.select(tables.campaigns.c.campaign_id).order_by(tables.campaigns.c.campaign_id).limit(most)
        return list(self._connection.execute(query).scalars())

    def has_feedback(self, campaign_id: str) -> bool:
        """Some event counts for it."""
        state = tables.feedback_state.c
        query = sa.select(state.arm).where(state.campaign_id == campaign_id).limit(1)
        return self._connection.execute(query).first() is not None

    def add(self, campaign: Campaign) -> None:
        """A campaign of a new name."""
        self._connection.execute(tables.campaigns.insert(), {**_columns(campaign), "paused": campaign.paused})
        self._record("campaign.create", campaign.campaign_id, None, campaign.planned())

    def add_all(self, campaigns: Sequence[Campaign]) -> None:
        """Campaigns of new names, each with its audit entry, in two statements however many they are."""
        if campaigns:
            rows = [{**_columns(campaign), "paused": campaign.paused} for campaign in campaigns]
            self._connection.execute(tables.campaigns.insert(), rows)
            created = [(campaign.campaign_id, None, campaign.planned()) for campaign in campaigns]
            record_all(self._connection, self._at, self._actor, "campaign.create", created, self._reason)

    def edit(self, old: Campaign, new: Campaign) -> None:
        """What a person plans; nothing is written where it stays as it is."""
        before, after = old.planned(), new.planned()
        changed = [key for key in after if before[key] != after[key]]
        if changed:
            self._connection.execute(_update(old.campaign_id).values(**_columns(new)))
            changes = ({key: planned[key] for key in changed} for planned in (before, after))
            self._record("campaign.edit", old.campaign_id, *changes)

    def set_paused(self, old: Campaign, paused: bool) -> Campaign:
        """Stop or resume spending; nothing is written where it stays as it is."""
        if old.paused != paused:
            self._connection.execute(_update(old.campaign_id).values(paused=paused))
            action = "campaign.pause" if paused else "campaign.resume"
            self._record(action, old.campaign_id, {"paused": old.paused}, {"paused": paused})
        return replace(old, paused=paused)

    def set_override(self, old: Campaign, kind: str, share: dict[str, float] | None) -> Campaign:
        """An override from now on, in place of any before."""
        actor, reason = self._actor[:LONGEST_ACTOR], self._reason[:LONGEST_REASON]
        override = Override(kind, share, actor, reason, self._at)
        row = {"kind": kind, "share": share, "actor": actor, "reason": reason, "at": override.at}
        self._delete_override(old.campaign_id)
        self._connection.execute(tables.overrides.insert(), {"campaign_id": old.campaign_id, **row})
        self._record("override.set", old.campaign_id, _split(old), {"kind": kind, "share": share})
        return replace(old, override=override)

    def lift_override(self, old: Campaign) -> Campaign:
        """No override any more; nothing is written where there is none."""
        if old.override is not None:
            self._delete_override(old.campaign_id)
            self._record("override.lift", old.campaign_id, _split(old), None)
        return replace(old, override=None)

    def _delete_override(self, campaign_id: str) -> None:
        self._connection.execute(tables.overrides.delete().where(tables.overrides.c.campaign_id == campaign_id))

    def _record(self, action: str, campaign_id: str, before: Any, after: Any) -> None:
        record(self._connection, self._at, self._actor, action, campaign_id, before, after, self._reason)


@contextmanager
def changing(store: Store, actor: str, reason: str) -> Iterator[CampaignTable]:
    """One transaction of changes: kept, and told to all readers, when the block ends; raises `StoreAwayError`."""
    with store.change() as connection:
        yield CampaignTable(connection, store.clock(), actor, reason)


def load_all(store: Store) -> dict[str, Campaign]:
    """Every campaign with its override, by name; raises `StoreAwayError`."""
    with store.read() as connection:
        return _load(connection)


def load_some(store: Store, names: Iterable[str]) -> dict[str, Campaign]:
    """Those campaigns of these names that there are, with their overrides; raises `StoreAwayError`."""
    wanted, campaigns = sorted(set(names)), {}
    with store.read() as connection:
        for start in range(0, len(wanted), BLOCK):
            campaigns.update(_load(connection, *wanted[start : start + BLOCK]))
    return campaigns


def first_names(store: Store, most: int | None) -> list[str]:
    """Names of the first so many campaigns, `None`: of all, in their order; raises `StoreAwayError`."""
    with store.read() as connection:
        query = sa.select(tables.campaigns.c.campaign_id).order_by(tables.campaigns.c.campaign_id).limit(most)
        return list(connection.execute(query).scalars())


def changes_since(store: Store, entry: int) -> tuple[int, list[str]]:
    """The audit trail's newest entry, and the campaigns that entries after `entry` are of; raises `StoreAwayError`.

    Who changes a campaign holds the row of the revision until its entries are written: they come in the order in which
    they can be read.
    """
    audit = tables.audit.c
    with store.read() as connection:
        newest = int(connection.execute(sa.select(sa.func.max(audit.id))).scalar() or 0)
        query = sa.select(audit.subject).where((audit.id > entry) & audit.action.in_(CHANGES)).distinct()
        names = list(connection.execute(query).scalars()) if newest > entry else []
    return newest, names


def overridden(store: Store) -> list[str]:
    """Names of the campaigns under an override; raises `StoreAwayError`."""
    with store.read() as connection:
        return list(connection.execute(sa.select(tables.overrides.c.campaign_id)).scalars())


def budgets_before(store: Store, campaign_id: str) -> list[tuple[datetime, float]]:
    """When the cycle budget was edited, the newest edit first, and what it was until then; raises `StoreAwayError`."""
    audit = tables.audit.c
    query = (
        sa.select(audit.at, audit.before)
        .where((audit.subject == campaign_id) & (audit.action == "campaign.edit"))
        .order_by(audit.id.desc())
    )
    with store.read() as connection:
        edits = connection.execute(query).all()
    return [(utc(at), float(before["cycle_budget"])) for at, before in edits if "cycle_budget" in (before or {})]


def budget_edits(store: Store, campaigns: Sequence[str] | None = None) -> dict[str, list[tuple[datetime, float]]]:
    """`budgets_before` of every campaign whose cycle budget was ever edited, in one query; raises `StoreAwayError`.

    Args:
        campaigns: only these, some hundreds at most.
    """
    audit = tables.audit.c
    query = sa.select(audit.subject, audit.at, audit.before).where(audit.action == "campaign.edit")
    if campaigns is not None:
        query = query.where(audit.subject.in_(campaigns))
    edits: dict[str, list[tuple[datetime, float]]] = {}
    with store.read() as connection:
        for subject, at, before in connection.execute(query.order_by(audit.id.desc())):
            if "cycle_budget" in (before or {}):
                edits.setdefault(subject, []).append((utc(at), float(before["cycle_budget"])))
    return edits


def pauses(store: Store, campaigns: Sequence[str] | None = None) -> dict[str, list[tuple[datetime, bool]]]:
    """When campaigns were paused (true) and resumed, in order of time, in one query; raises `StoreAwayError`.

    Args:
        campaigns: only these, some hundreds at most.
    """
    audit = tables.audit.c
    query = sa.select(audit.subject, audit.at, audit.action)
    query = query.where(audit.action.in_(("campaign.pause", "campaign.resume"))).order_by(audit.id)
    if campaigns is not None:
        query = query.where(audit.subject.in_(campaigns))
    found: dict[str, list[tuple[datetime, bool]]] = {}
    with store.read() as connection:
        for subject, at, action in connection.execute(query):
            found.setdefault(subject, []).append((utc(at), action == "campaign.pause"))
    return found


def budget_at(now_budget: float, edits: Sequence[tuple[datetime, float]], moment: datetime) -> float:
    """The cycle budget that was in force at a moment: edits do not re-price the past.

    Args:
        now_budget: that of now.
        edits: `budgets_before`, the newest first.
    """
    budget = now_budget
    for changed, before in edits:
        if changed < moment:
            break
        budget = before
    return budget


def most_budget(now_budget: float, edits: Sequence[tuple[datetime, float]], begins: datetime, ends: datetime) -> float:
    """The largest cycle budget that was in force at any moment from `begins` to `ends`; arguments as `budget_at`."""
    within = (changed for changed, _ in edits if begins <= changed < ends)
    return max(budget_at(now_budget, edits, moment) for moment in (ends, begins, *within))


def _columns(campaign: Campaign) -> dict[str, Any]:
    return {**campaign.planned(), "starts": campaign.starts}


def _load(connection: sa.Connection, *names: str) -> dict[str, Campaign]:
    """All campaigns, or those of these names."""
    query = sa.select(
        tables.campaigns, *(column.label(f"override_{column.name}") for column in tables.overrides.c)
    ).outerjoin(tables.overrides, tables.campaigns.c.campaign_id == tables.overrides.c.campaign_id)
    if names:
        # No database holds a NUL, and PostgreSQL refuses even to look for one.
        query = query.where(tables.campaigns.c.campaign_id.in_([name for name in names if "\x00" not in name]))
    campaigns = {}
    columns = tables.campaigns.c.keys()
    for row in connection.execute(query.order_by(tables.campaigns.c.campaign_id)):
        _, kind, share, actor, reason, at = row[len(columns) :]
        override = None if kind is None else Override(kind, share, actor, reason, utc(at))
        own = dict(zip(columns, row, strict=False))
        own["starts"] = utc(own["starts"])
        campaigns[own["campaign_id"]] = Campaign(**own, override=override)
    return campaigns


def _update(campaign_id: str) -> sa.Update:
    return tables.campaigns.update().where(tables.campaigns.c.campaign_id == campaign_id)


def _split(campaign: Campaign) -> dict[str, Any] | None:
    override = campaign.override
    return None if override is None else {"kind": override.kind, "share": override.share}
