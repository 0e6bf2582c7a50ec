"""Campaigns and their overrides: what a person plans, and how a person takes a campaign out of the policy's hands.

A campaign has a budget per cycle, a static split, limits and a window. An override (the kill switch, or a given split)
holds for all arms from the moment it is set until it is lifted. Every change is one transaction that also writes the
audit trail; what cannot be used is refused with field, value and remedy, and nothing of it is kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from heapq import nsmallest
from typing import TYPE_CHECKING, Any

import numpy as np

from crossmix.ledger.campaigns import FREE, Campaign, CampaignTable, changing, first_names, load_some
from crossmix.ledger.store import Store
from serving.campaigns import schema as plan
from serving.fields import CampaignError, as_utc

if TYPE_CHECKING:
    from crossmix.bundle import Bundle

SETTLED = ("currency", "starts", "cycle_hours", "timezone")
"""What feedback counts in, so that it stays once there is any."""
SHOWN = 20
"""How many known campaigns, or rows that cannot be used, an error names."""


class UnknownCampaignError(CampaignError):
    """No campaign of that name."""

    status = 404


class CampaignExistsError(CampaignError):
    """There is one of that name already, or what it has collected forbids the change."""

    status = 409


def validate(raw: Mapping[str, Any], platforms: Sequence[str]) -> Campaign:
    """A campaign from what a person wrote; raises `CampaignError` naming the first field that cannot be used."""
    return Campaign(**plan.check(raw, platforms))


def get(store: Store, campaign_id: str) -> Campaign:
    """One campaign; raises `UnknownCampaignError`, `StoreAwayError`."""
    found = load_some(store, [campaign_id])
    if campaign_id not in found:
        raise unknown(campaign_id, first_names(store, SHOWN))
    return found[campaign_id]


def known(campaigns: Mapping[str, Campaign], campaign_id: str) -> Campaign:
    """One of the campaigns; raises `UnknownCampaignError`, naming those that are there."""
    if campaign_id not in campaigns:
        raise unknown(campaign_id, nsmallest(SHOWN, campaigns))
    return campaigns[campaign_id]


def unknown(campaign_id: str, names: Sequence[str]) -> UnknownCampaignError:
    """That there is no such campaign, naming the first of those that are there."""
    listed = ", ".join(names) or "none yet: create one with crossmix campaign create"
    return UnknownCampaignError(f"campaign_id: {campaign_id[:200]!r} is unknown; known: {listed}")


def _one(table: CampaignTable, campaign_id: str) -> Campaign:
    """One campaign of many, in one row; raises `UnknownCampaignError`."""
    campaign = table.one(campaign_id)
    if campaign is None:
        raise unknown(campaign_id, table.names(SHOWN))
    return campaign


def create(store: Store, raw: Mapping[str, Any], platforms: Sequence[str], actor: str, reason: str = "") -> Campaign:
    """Add a campaign. Raises `CampaignError`, `CampaignExistsError`, `StoreAwayError`."""
    campaign = validate(raw, platforms)
    with changing(store, actor, reason) as table:
        if table.one(campaign.campaign_id) is not None:
            raise CampaignExistsError(
                f"campaign_id: {campaign.campaign_id!r} is there already; edit it or choose a name"
            )
        table.add(campaign)
    return campaign


def import_(
    store: Store,
    rows: Sequence[Campaign | Mapping[str, Any]],
    actor: str,
    platforms: Sequence[str],
    reason: str = "",
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
        CampaignError: one sentence that names the rows that cannot be used, counted from 1: the first `SHOWN` of them.
        StoreAwayError: the database.
    """
    valid, faults = [], []
    for number, row in enumerate(rows, 1):
        try:
            valid.append((number, row if isinstance(row, Campaign) else validate(row, platforms)))
        except CampaignError as error:
            faults.append((number, str(error)))
    with changing(store, actor, reason) as table:
        existing = set(table.names())
        first_row: dict[str, int] = {}
        added = []
        for number, campaign in valid:
            name = campaign.campaign_id
            if name in first_row:
                faults.append((number, f"campaign_id: {name!r} is row {first_row[name]} too; give it one row"))
            elif name in existing and not keep:
                faults.append((number, f"campaign_id: {name!r} is there already; edit it or leave the row out"))
            elif name not in existing:
                added.append(campaign)
            first_row.setdefault(name, number)
        if faults:
            sentences = "; ".join(f"row {number}: {fault}" for number, fault in sorted(faults)[:SHOWN])
            if len(faults) > SHOWN:
                sentences += f"; and {len(faults) - SHOWN:,} more"
            raise CampaignError(
                f"import: {len(faults)} of {len(rows)} rows cannot be used, nothing was kept: {sentences}"
            )
        table.add_all(added)
    return added


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of rows that each count for themselves."""

    added: int
    same: int
    """There already, as they would be made; they stay."""
    faults: tuple[tuple[int, str], ...]
    """Number, from 1, and sentence of each row that cannot be used."""


def import_each(
    store: Store, rows: Sequence[Mapping[str, Any]], platforms: Sequence[str], actor: str, reason: str = ""
) -> Imported:
    """Add the campaigns of those rows that can be used; the same rows once more change nothing.

    Raises `StoreAwayError`, and then nothing was added.
    """
    faults: list[tuple[int, str]] = []
    first_row: dict[str, int] = {}
    valid: list[tuple[int, Campaign]] = []
    for number, row in enumerate(rows, 1):
        try:
            campaign = validate(row, platforms)
        except CampaignError as error:
            faults.append((number, str(error)))
            continue
        name = campaign.campaign_id
        if name in first_row:
            faults.append((number, f"campaign_id: {name!r} is row {first_row[name]} too; give it one row"))
            continue
        first_row[name] = number
        valid.append((number, campaign))
    with changing(store, actor, reason) as table:
        known, added, same = table.some(first_row), [], 0
        for number, campaign in valid:
            there = known.get(campaign.campaign_id)
            if there is None:
                added.append(campaign)
            elif there.planned() == campaign.planned():
                same += 1
            else:
                other = ", ".join(key for key, value in campaign.planned().items() if there.planned()[key] != value)
                fault = f"campaign_id: {campaign.campaign_id!r} is there already with another {other}"
                faults.append((number, f"{fault}; edit it or leave the row out"))
        table.add_all(added)
    return Imported(len(added), same, tuple(sorted(faults)))


def edit(
    store: Store, campaign_id: str, changes: Mapping[str, Any], platforms: Sequence[str], actor: str, reason: str = ""
) -> Campaign:
    """Change fields of a campaign.

    Args:
        changes: fields to set. `share` is replaced as a whole; `limits` by platform and bound, null takes one off.

    Raises:
        UnknownCampaignError, CampaignError: a field cannot be used.
        CampaignExistsError: one of `SETTLED`, where there is feedback that counts in the old one.
        StoreAwayError: the database.
    """
    plan.check_changes(changes)
    with changing(store, actor, reason) as table:
        old = _one(table, campaign_id)
        new = edited(old, changes, platforms)
        moved = [name for name in SETTLED if getattr(old, name) != getattr(new, name)]
        if moved and table.has_feedback(campaign_id):
            raise CampaignExistsError(
                f"{moved[0]}: {campaign_id!r} has feedback, which counts in its old {moved[0]}; create another campaign"
            )
        table.edit(old, new)
    return new


def edited(old: Campaign, changes: Mapping[str, Any], platforms: Sequence[str]) -> Campaign:
    """The campaign that an edit makes; nothing is kept. Raises `CampaignError`."""
    plan.check_changes(changes)
    merged = {**old.planned(), **{key: value for key, value in changes.items() if key != "limits"}}
    if "limits" in changes:
        merged["limits"] = plan.merged_limits(old.limits, changes["limits"])
    return replace(Campaign(**plan.check(merged, platforms, old.currency)), paused=old.paused, override=old.override)


def pause(store: Store, campaign_id: str, actor: str, reason: str = "") -> Campaign:
    """Stop spending; raises `UnknownCampaignError`, `StoreAwayError`."""
    with changing(store, actor, reason) as table:
        return table.set_paused(_one(table, campaign_id), True)


def resume(store: Store, campaign_id: str, actor: str, reason: str = "") -> Campaign:
    """Spend again; raises `UnknownCampaignError`, `StoreAwayError`."""
    with changing(store, actor, reason) as table:
        return table.set_paused(_one(table, campaign_id), False)


def set_override(
    store: Store,
    campaign_id: str,
    kind: str,
    share: Mapping[str, Any] | None,
    platforms: Sequence[str],
    actor: str,
    reason: str = "",
) -> Campaign:
    """Put a campaign on its static split (`static`, the kill switch) or on a `given` one, in place of any before.

    Raises:
        UnknownCampaignError, CampaignError: the kind, or a given split that is none.
        StoreAwayError: the database.
    """
    split = plan.check_override(kind, share, platforms)
    with changing(store, actor, reason) as table:
        return table.set_override(_one(table, campaign_id), kind, split)


def lift(store: Store, campaign_id: str, actor: str, reason: str = "") -> Campaign:
    """Give a campaign back to its policy; no change where there is no override.

    Raises `UnknownCampaignError`, `StoreAwayError`.
    """
    with changing(store, actor, reason) as table:
        return table.lift_override(_one(table, campaign_id))


def from_bundle(bundle: Bundle, starts: datetime, cycles: int) -> list[Campaign]:
    """The campaigns that a bundle was trained with, from `starts` on for `cycles` cycles; those that are over are
    paused."""
    campaigns, ended = [], bundle.ended
    for name, planned in bundle.plans.items():
        total = sum(planned.share)
        share = {platform: part / total for platform, part in zip(bundle.platforms, planned.share, strict=True)}
        bounds = bundle.limits[name].as_dict()
        limits = {
            platform: {key: _tidy(bounds[key][slot]) for key in FREE if _tidy(bounds[key][slot]) != FREE[key]}
            for slot, platform in enumerate(bundle.platforms)
        }
        limits = {platform: limit for platform, limit in limits.items() if limit}
        campaigns.append(
            Campaign(
                name,
                planned.currency[:40],
                float(planned.cycle_budget),
                share,
                limits,
                as_utc(starts),
                cycles,
                planned.cycle_hours,
                paused=name in ended,
                timezone="UTC",
            )
        )
    return campaigns


def _tidy(bound: float | bool) -> float | bool:
    """A bound without what 32 bits made of it: 0.1, not 0.10000000149."""
    return bound if isinstance(bound, bool) else float(np.format_float_positional(np.float32(bound), unique=True))
