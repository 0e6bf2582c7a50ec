"""What a campaign's fields may be: each is checked by itself, then the limits together. No database here.

A refusal is one sentence: field, value, remedy.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import numpy as np

from crossmix.constraints import InfeasibleError
from crossmix.constraints import check as check_box
from crossmix.ledger.campaigns import FIELDS, FREE
from serving.fields import LARGEST_AMOUNT, LATEST, CampaignError, moment, number, shown, text

KINDS = ("static", "given")


TOLERANCE = 1e-6


MOST_CYCLES = 1_000_000


LONGEST_CYCLE = 24 * 366.0


_EXAMPLE = {"campaign_id": "a name", "currency": "as EUR", "cycle_budget": "an amount above 0"} | {
    "share": 'as {"search": 0.6, "social": 0.4}',
    "starts": "as 2026-01-01T00:00:00Z",
    "cycles": "how many are planned",
    "cycle_hours": "24 for days",
}


def check(raw: Mapping[str, Any], platforms: Sequence[str], currency: str | None = None) -> dict[str, Any]:
    """The fields of `FIELDS`, each of its type, from what a person wrote (`limits` may be absent).

    Args:
        currency: a name that may stay though it is not three capital letters: public and generated logs have their own.

    Raises:
        CampaignError: names the first that cannot be used.
    """
    if not isinstance(raw, Mapping):
        raise CampaignError(f"campaign: {shown(raw)}; send an object with {', '.join(FIELDS)}")
    _check_names(raw)
    for name in FIELDS:
        if name != "limits" and raw.get(name) is None:
            raise CampaignError(f"{name}: missing; give {_EXAMPLE[name]}")
    campaign_id = text(raw["campaign_id"], "campaign_id")
    if campaign_id in (".", "..") or campaign_id != campaign_id.strip():
        raise CampaignError(f"campaign_id: {campaign_id!r}; give a name without blanks around it")
    wanted = raw["currency"]
    if wanted != currency and not (isinstance(wanted, str) and re.fullmatch("[A-Z]{3}", wanted)):
        raise CampaignError(f"currency: {shown(wanted)}; give three capital letters, as EUR")
    cycles = raw["cycles"]
    if isinstance(cycles, bool) or not isinstance(cycles, int) or not 1 <= cycles <= MOST_CYCLES:
        raise CampaignError(f"cycles: {shown(cycles)}; give a whole number from 1 to {MOST_CYCLES:,}")
    hours = number(raw["cycle_hours"], "cycle_hours", 0.0, LONGEST_CYCLE, "hours, 24 for days")
    if hours * 3_600 < 1:
        raise CampaignError(f"cycle_hours: {hours:g} is under a second; give hours, 24 for days")
    starts = moment(raw["starts"], "starts")
    if cycles * timedelta(hours=hours) > LATEST - starts:
        raise CampaignError(f"cycles: {cycles:,} of {hours:g} hours end after {LATEST.year}; give fewer")
    budget = number(raw["cycle_budget"], "cycle_budget", 0.0, LARGEST_AMOUNT, "an amount per cycle")
    if budget == 0:
        raise CampaignError("cycle_budget: 0; give an amount above 0, or pause the campaign")
    return {
        "campaign_id": campaign_id,
        "currency": wanted,
        "cycle_budget": budget,
        "share": check_share(raw["share"], "share", platforms),
        "limits": check_limits({} if raw.get("limits") is None else raw["limits"], platforms),
        "starts": starts,
        "cycles": cycles,
        "cycle_hours": hours,
    }


def check_changes(changes: Mapping[str, Any]) -> None:
    """Raise `CampaignError` where an edit names a field that none can change; values are checked with the rest."""
    if not isinstance(changes, Mapping) or not changes:
        raise CampaignError(f"edit: {shown(changes)}; send an object of the fields to change")
    _check_names(changes)
    if "campaign_id" in changes:
        raise CampaignError("campaign_id: a name cannot be changed; create another campaign")


def check_share(raw: Any, name: str, platforms: Sequence[str]) -> dict[str, float]:
    """A split by platform, those left out at 0, that sums to 1 within 1e-6."""
    if not isinstance(raw, Mapping):
        raise CampaignError(f"{name}: {shown(raw)}; give a share by platform, {_EXAMPLE['share']}")
    share = {}
    for platform, part in raw.items():
        _check_platform(platform, name, platforms)
        share[platform] = number(part, f"{name}.{platform}", 0.0, 1.0, "a share from 0 to 1")
    total = sum(share.values())
    if abs(total - 1) > TOLERANCE:
        raise CampaignError(f"{name}: the shares sum to {total:.7g}; make them sum to 1")
    return {platform: share.get(platform, 0.0) for platform in platforms}


def check_limits(raw: Any, platforms: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Limits by platform, those that bind nothing left out; together they leave some split."""
    if not isinstance(raw, Mapping):
        raise CampaignError(f'limits: {shown(raw)}; give them by platform, as {{"search": {{"min": 0.1}}}}')
    limits: dict[str, dict[str, Any]] = {}
    for platform, bounds in raw.items():
        _check_platform(platform, "limits", platforms)
        if not isinstance(bounds, Mapping):
            raise CampaignError(f"limits.{platform}: {shown(bounds)}; give an object of {', '.join(FREE)}")
        binding: dict[str, Any] = {}
        for key, bound in bounds.items():
            where = f"limits.{platform}.{key}"
            if key not in FREE:
                raise CampaignError(f"limits.{platform}: {shown(key)} is unknown; use {', '.join(FREE)}")
            if key == "freeze":
                if not isinstance(bound, bool):
                    raise CampaignError(f"{where}: {shown(bound)}; give true or false")
                binding[key] = bound
            else:
                binding[key] = number(bound, where, 0.0, 1.0, "a share of the cycle budget from 0 to 1")
        binding = {key: bound for key, bound in binding.items() if bound != FREE[key]}
        if binding:
            limits[platform] = binding
    rows = [{**FREE, **limits.get(platform, {})} for platform in platforms]
    low, high = (np.array([[row[key] for row in rows]], float) for key in ("min", "max"))
    try:
        check_box(low, high, platforms)
    except InfeasibleError as error:
        raise CampaignError(str(error)) from None
    return limits


def merged_limits(old: Mapping[str, Mapping[str, Any]], changes: Any) -> Any:
    """Old limits with an edit's on top: null takes a bound, or a platform's all, off."""
    if not isinstance(changes, Mapping):
        return {} if changes is None else changes
    merged: dict[str, Any] = {platform: dict(bounds) for platform, bounds in old.items()}
    for platform, bounds in changes.items():
        if bounds is None:
            merged.pop(platform, None)
        elif isinstance(bounds, Mapping):
            both = {**merged.get(platform, {}), **bounds}
            merged[platform] = {key: bound for key, bound in both.items() if bound is not None}
        else:
            merged[platform] = bounds
    return merged


def check_override(kind: Any, share: Any, platforms: Sequence[str]) -> dict[str, float] | None:
    """An override's split: of a given one, and `None` of the static one."""
    if kind not in KINDS:
        raise CampaignError(f"kind: {shown(kind)}; use static (the campaign's own split) or given")
    if kind == "static":
        if share is not None:
            raise CampaignError("share: the static split is the campaign's own; leave share out, or use kind given")
        return None
    if share is None:
        raise CampaignError(f"share: missing; give the split, {_EXAMPLE['share']}")
    return check_share(share, "share", platforms)


def _check_names(raw: Mapping[str, Any]) -> None:
    for name in raw:
        if name not in FIELDS:
            hint = "pause or resume it by its own request" if name == "paused" else f"use {', '.join(FIELDS)}"
            raise CampaignError(f"{shown(name).strip(chr(39))}: unknown field; {hint}")


def _check_platform(platform: Any, name: str, platforms: Sequence[str]) -> None:
    if platform not in platforms:
        raise CampaignError(f"{name}: platform {shown(platform)} is unknown; use {', '.join(platforms)}")
