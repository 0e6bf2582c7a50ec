"""Campaigns and their overrides: what a person plans, and how a person takes a campaign out of the policy's hands.

A campaign has a budget per cycle, a static split, limits and a window. An override (the kill switch, or a given split)
holds for all arms from the moment it is set until it is lifted. Every change is one transaction that also writes the
audit trail; what cannot be used is refused with field, value and remedy, and nothing of it is kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import sqlalchemy as sa

from crossmix.ledger import store as tables
from crossmix.ledger.audit import record, utc
from crossmix.ledger.store import Store
from serving.campaigns import model as plan
from serving.campaigns.model import Campaign, Override
from serving.fields import CampaignError

if TYPE_CHECKING:
    from crossmix.bundle import Bundle

SHOWN = 20
"""How many known campaigns an error names."""


class UnknownCampaignError(CampaignError):
    """No campaign of that name."""

    status = 404


class CampaignExistsError(CampaignError):
    """There is one of that name already, or what it has collected forbids the change."""

    status = 409


def validate(raw: Mapping[str, Any], platforms: Sequence[str]) -> Campaign:
    """A campaign from what a person wrote; raises `CampaignError` naming the first field that cannot be used."""
    return Campaign(**plan.check(raw, platforms))


def load_all(store: Store) -> dict[str, Campaign]:
    """Every campaign with its override, by name; raises `StoreAwayError`."""
    with store.read() as connection:
        return _load(connection)


def get(store: Store, campaign_id: str) -> Campaign:
    """One campaign; raises `UnknownCampaignError`, `StoreAwayError`."""
    return known(load_all(store), campaign_id)


def known(found: Mapping[str, Campaign], campaign_id: str) -> Campaign:
    """One of the campaigns; raises `UnknownCampaignError`, naming those that are there."""
    if campaign_id not in found:
        names = ", ".join(sorted(found)[:SHOWN]) or "none yet: create one with crossmix campaign create"
        raise UnknownCampaignError(f"campaign_id: {campaign_id[:200]!r} is unknown; known: {names}")
    return found[campaign_id]


def create(store: Store, raw: Mapping[str, Any], platforms: Sequence[str], who: str, why: str = "") -> Campaign:
    """Add a campaign. Raises `CampaignError`, `CampaignExistsError`, `StoreAwayError`."""
    made = validate(raw, platforms)
    with store.change() as connection:
        if made.campaign_id in _load(connection):
            raise CampaignExistsError(f"campaign_id: {made.campaign_id!r} is there already; edit it or choose a name")
        _insert(connection, made, who, why)
    return made


def import_(
    store: Store,
    rows: Sequence[Campaign | Mapping[str, Any]],
    who: str,
    platforms: Sequence[str],
    why: str = "",
    *,
    keep: bool = False,
) -> list[Campaign]:
    """Add many campaigns, or none.

    Args:
        rows: what `create` takes, or campaigns.
        keep: leave a campaign that is there already as it is, instead of refusing it.

    Returns:
        Those that were added.

    Raises:
        CampaignError: one sentence that names every row that cannot be used, counted from 1.
        StoreAwayError: the database.
    """
    made, bad = [], []
    for number, row in enumerate(rows, 1):
        try:
            made.append((number, row if isinstance(row, Campaign) else validate(row, platforms)))
        except CampaignError as error:
            bad.append((number, str(error)))
    with store.change() as connection:
        there = set(_load(connection))
        seen: dict[str, int] = {}
        added = []
        for number, campaign in made:
            name = campaign.campaign_id
            if name in seen:
                bad.append((number, f"campaign_id: {name!r} is row {seen[name]} too; give it one row"))
            elif name in there and not keep:
                bad.append((number, f"campaign_id: {name!r} is there already; edit it or leave the row out"))
            elif name not in there:
                added.append(campaign)
            seen.setdefault(name, number)
        if bad:
            told = "; ".join(f"row {number}: {why}" for number, why in sorted(bad))
            raise CampaignError(f"import: {len(bad)} of {len(rows)} rows cannot be used, nothing was kept: {told}")
        for campaign in added:
            _insert(connection, campaign, who, why)
    return added


def edit(
    store: Store, campaign_id: str, changes: Mapping[str, Any], platforms: Sequence[str], who: str, why: str = ""
) -> Campaign:
    """Change fields of a campaign.

    Args:
        changes: fields to set. `share` is replaced as a whole; `limits` by platform and bound, null takes one off.

    Raises:
        UnknownCampaignError, CampaignError: a field cannot be used.
        CampaignExistsError: currency, starts or cycle_hours, where there is feedback that counts in the old one.
        StoreAwayError: the database.
    """
    plan.check_changes(changes)
    with store.change() as connection:
        old = known(_load(connection), campaign_id)
        merged = {**old.planned(), **{key: value for key, value in changes.items() if key != "limits"}}
        if "limits" in changes:
            merged["limits"] = plan.merged_limits(old.limits, changes["limits"])
        new = replace(Campaign(**plan.check(merged, platforms, old.currency)), paused=old.paused, override=old.override)
        moved = [name for name in ("currency", "starts", "cycle_hours") if getattr(old, name) != getattr(new, name)]
        if moved and _has_feedback(connection, campaign_id):
            raise CampaignExistsError(
                f"{moved[0]}: {campaign_id!r} has feedback, which counts in its old {moved[0]}; create another campaign"
            )
        before, after = old.planned(), new.planned()
        if before != after:
            connection.execute(_of(tables.campaigns, campaign_id).values(**_columns(new)))
            changed = [key for key in after if before[key] != after[key]]
            record(
                connection,
                who,
                "campaign.edit",
                campaign_id,
                {key: before[key] for key in changed},
                {key: after[key] for key in changed},
                why,
            )
    return new


def pause(store: Store, campaign_id: str, who: str, why: str = "") -> Campaign:
    """Stop spending; raises `UnknownCampaignError`, `StoreAwayError`."""
    return _set_paused(store, campaign_id, True, who, why)


def resume(store: Store, campaign_id: str, who: str, why: str = "") -> Campaign:
    """Spend again; raises `UnknownCampaignError`, `StoreAwayError`."""
    return _set_paused(store, campaign_id, False, who, why)


def set_override(
    store: Store,
    campaign_id: str,
    kind: str,
    share: Mapping[str, Any] | None,
    platforms: Sequence[str],
    who: str,
    why: str = "",
) -> Campaign:
    """Put a campaign on its static split (`static`, the kill switch) or on a `given` one, in place of any before.

    Raises:
        UnknownCampaignError, CampaignError: the kind, or a given split that is none.
        StoreAwayError: the database.
    """
    made = plan.check_override(kind, share, platforms)
    with store.change() as connection:
        old = known(_load(connection), campaign_id)
        override = Override(kind, made, who[:200], why[:1_000], datetime.now(UTC))
        row = {"kind": kind, "share": made, "who": override.who, "why": override.why, "at": override.at}
        connection.execute(tables.overrides.delete().where(tables.overrides.c.campaign_id == campaign_id))
        connection.execute(tables.overrides.insert(), {"campaign_id": campaign_id, **row})
        record(connection, who, "override.set", campaign_id, _told(old), {"kind": kind, "share": made}, why)
    return replace(old, override=override)


def lift(store: Store, campaign_id: str, who: str, why: str = "") -> Campaign:
    """Give a campaign back to its policy; no change where there is no override.

    Raises `UnknownCampaignError`, `StoreAwayError`.
    """
    with store.change() as connection:
        old = known(_load(connection), campaign_id)
        if old.override is not None:
            connection.execute(tables.overrides.delete().where(tables.overrides.c.campaign_id == campaign_id))
            record(connection, who, "override.lift", campaign_id, _told(old), None, why)
    return replace(old, override=None)


def from_bundle(bundle: Bundle, starts: datetime, cycles: int) -> list[Campaign]:
    """The campaigns that a bundle was trained with, from `starts` on for `cycles` cycles."""
    made = []
    for name, planned in bundle.plans.items():
        total = sum(planned.share)
        share = {platform: part / total for platform, part in zip(bundle.platforms, planned.share, strict=True)}
        bounds = bundle.limits[name].as_dict()
        limits = {
            platform: {key: _tidy(bounds[key][slot]) for key in plan.FREE if _tidy(bounds[key][slot]) != plan.FREE[key]}
            for slot, platform in enumerate(bundle.platforms)
        }
        limits = {platform: limit for platform, limit in limits.items() if limit}
        made.append(
            Campaign(
                name,
                planned.currency[:40],
                float(planned.cycle_budget),
                share,
                limits,
                utc(starts),
                cycles,
                planned.cycle_hours,
            )
        )
    return made


def _tidy(bound: float | bool) -> float | bool:
    """A bound without what 32 bits made of it: 0.1, not 0.10000000149."""
    return bound if isinstance(bound, bool) else float(np.format_float_positional(np.float32(bound), unique=True))


def _columns(campaign: Campaign) -> dict[str, Any]:
    return {**campaign.planned(), "starts": campaign.starts}


def _load(connection: sa.Connection) -> dict[str, Campaign]:
    query = sa.select(
        tables.campaigns, *(column.label(f"override_{column.name}") for column in tables.overrides.c)
    ).outerjoin(tables.overrides, tables.campaigns.c.campaign_id == tables.overrides.c.campaign_id)
    found = {}
    for row in connection.execute(query.order_by(tables.campaigns.c.campaign_id)).mappings():
        override = None
        if row["override_kind"] is not None:
            parts = [row[f"override_{name}"] for name in ("kind", "share", "who", "why", "at")]
            override = Override(parts[0], parts[1], parts[2], parts[3], utc(parts[4]))
        own = {column.name: row[column.name] for column in tables.campaigns.c}
        found[row["campaign_id"]] = Campaign(**{**own, "starts": utc(own["starts"])}, override=override)
    return found


def _insert(connection: sa.Connection, made: Campaign, who: str, why: str) -> None:
    connection.execute(tables.campaigns.insert(), {**_columns(made), "paused": made.paused})
    record(connection, who, "campaign.create", made.campaign_id, None, made.planned(), why)


def _set_paused(store: Store, campaign_id: str, paused: bool, who: str, why: str) -> Campaign:
    with store.change() as connection:
        old = known(_load(connection), campaign_id)
        if old.paused != paused:
            connection.execute(_of(tables.campaigns, campaign_id).values(paused=paused))
            action = "campaign.pause" if paused else "campaign.resume"
            record(connection, who, action, campaign_id, {"paused": old.paused}, {"paused": paused}, why)
    return replace(old, paused=paused)


def _of(table: sa.Table, campaign_id: str) -> sa.Update:
    return table.update().where(table.c.campaign_id == campaign_id)


def _told(campaign: Campaign) -> dict[str, Any] | None:
    override = campaign.override
    return None if override is None else {"kind": override.kind, "share": override.share}


def _has_feedback(connection: sa.Connection, campaign_id: str) -> bool:
    query = sa.select(tables.events.c.event_id).where(tables.events.c.campaign_id == campaign_id).limit(1)
    return connection.execute(query).first() is not None
