"""What takes a campaign out of the policy's hands and gives it back: overrides and pauses, each written once.

A switch is decided at its own moment and may be written later, while a database is away: the audit trail has it with
its moment, a repetition finds it there, and what somebody decided after it stands.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from crossmix.ledger import tables
from crossmix.ledger.audit import LONGEST_ACTOR, LONGEST_REASON, record
from crossmix.ledger.campaigns import Campaign, CampaignTable, Override
from crossmix.ledger.store import Store

SET, LIFT, PAUSE, RESUME = "override.set", "override.lift", "campaign.pause", "campaign.resume"
_ALIKE = {SET: (SET, LIFT), LIFT: (SET, LIFT), PAUSE: (PAUSE, RESUME), RESUME: (PAUSE, RESUME)}
"""Of two of these the later stands."""


@dataclass(frozen=True, slots=True)
class Switch:
    """One change, as somebody decided it."""

    action: str
    """`SET`, `LIFT`, `PAUSE` or `RESUME`."""
    campaign_id: str
    actor: str
    reason: str
    at: datetime
    """UTC."""
    kind: str | None = None
    """Of an override: static or given."""
    share: dict[str, float] | None = None
    """Of a given one, platform to its share."""

    def on(self, campaign: Campaign) -> Campaign:
        """The campaign as it is with this change."""
        if self.action in (PAUSE, RESUME):
            return replace(campaign, paused=self.action == PAUSE)
        if self.action == LIFT:
            return replace(campaign, override=None)
        actor, reason = self.actor[:LONGEST_ACTOR], self.reason[:LONGEST_REASON]
        return replace(campaign, override=Override(str(self.kind), self.share, actor, reason, self.at))

    def as_dict(self) -> dict[str, Any]:
        """Plain data; `from_dict` reads it back."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__} | {"at": self.at.isoformat()}

    @staticmethod
    def from_dict(raw: Mapping[str, Any]) -> Switch:
        """What `as_dict` wrote."""
        return Switch(**{**raw, "at": datetime.fromisoformat(raw["at"])})


def write(store: Store, switch: Switch) -> int | None:
    """Write it, before all other writers that wait, unless it is written already.

    Where something alike was decided after it, that stands, and the trail alone gets this one.

    Returns:
        The database's revision with it; `None`: there is no such campaign.

    Raises:
        StoreAwayError: the database; nothing was kept.
    """
    with store.change(urgent=True) as connection:
        table = CampaignTable(connection, switch.at, switch.actor, switch.reason)
        old = table.one(switch.campaign_id)
        if old is None:
            return None
        if not _written(connection, switch):
            if _overtaken(connection, switch, store.clock()):
                after = None if switch.kind is None else {"kind": switch.kind, "share": switch.share}
                subject, reason = switch.campaign_id, switch.reason
                record(connection, switch.at, switch.actor, switch.action, subject, None, after, reason)
            elif switch.action == SET:
                table.set_override(old, str(switch.kind), switch.share)
            elif switch.action == LIFT:
                table.lift_override(old)
            else:
                table.set_paused(old, switch.action == PAUSE)
        return int(connection.execute(sa.select(tables.revision.c.number)).scalar_one())


def _written(connection: sa.Connection, switch: Switch) -> bool:
    audit = tables.audit.c
    same = (audit.at == switch.at) & (audit.subject == switch.campaign_id) & (audit.action == switch.action)
    actor = switch.actor[:LONGEST_ACTOR]
    return connection.execute(sa.select(audit.id).where(same & (audit.actor == actor))).first() is not None


def _overtaken(connection: sa.Connection, switch: Switch, now: datetime) -> bool:
    """Whether something alike was decided since, as far as `now`: what a clock that ran ahead noted is not later."""
    audit = tables.audit.c
    since = (audit.at > switch.at) & (audit.at <= now)
    alike = (audit.subject == switch.campaign_id) & audit.action.in_(_ALIKE[switch.action])
    return connection.execute(sa.select(audit.id).where(since & alike).limit(1)).first() is not None
