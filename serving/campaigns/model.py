"""A campaign, and what its fields may be: each is checked by itself, then the limits together. No database here.

A refusal is one sentence: field, value, remedy.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossmix.constraints import InfeasibleError, Limits
from crossmix.constraints import check as check_box
from serving.fields import LARGEST_AMOUNT, LATEST, CampaignError, as_utc, moment, number, shown, text

FREE: dict[str, Any] = {"min": 0.0, "max": 1.0, "step": 1.0, "freeze": False}
"""A platform's limits where none are given: shares of the cycle budget, and whether the share stays."""


FIELDS = ("campaign_id", "currency", "cycle_budget", "share", "limits", "starts", "cycles", "cycle_hours")


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


@dataclass(frozen=True, slots=True)
class Override:
    """A person's split, served in every arm until it is lifted."""

    kind: str
    """static (the kill switch) or given."""
    share: dict[str, float] | None
    """Platform to its share, of a given split; sums to 1."""
    who: str
    why: str
    at: datetime
    """UTC."""

    def as_dict(self) -> dict[str, Any]:
        return {"kind": self.kind, "share": self.share, "who": self.who, "why": self.why, "at": self.at.isoformat()}


@dataclass(frozen=True, slots=True)
class Campaign:
    """One campaign; `check` says what each field may be."""

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

    @property
    def width(self) -> timedelta:
        """Length of a cycle, to the microsecond."""
        return timedelta(microseconds=round(self.cycle_hours * 3_600_000_000))

    def cycle(self, now: datetime) -> int:
        """The cycle at a moment: below 0 before the start, `cycles` or more after the end."""
        return (now - self.starts) // self.width

    def ends(self, cycle: int) -> datetime:
        """End of a cycle, UTC."""
        return self.starts + (cycle + 1) * self.width

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
        override = raw.get("override")
        if override is not None:
            override = Override(**{**override, "at": as_utc(datetime.fromisoformat(override["at"]))})
        starts = raw["starts"]
        starts = as_utc(datetime.fromisoformat(starts) if isinstance(starts, str) else starts)
        return Campaign(**{**raw, "starts": starts, "override": override})


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
    told = raw["currency"]
    if told != currency and not (isinstance(told, str) and re.fullmatch("[A-Z]{3}", told)):
        raise CampaignError(f"currency: {shown(told)}; give three capital letters, as EUR")
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
        "currency": told,
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
        made: dict[str, Any] = {}
        for key, bound in bounds.items():
            where = f"limits.{platform}.{key}"
            if key not in FREE:
                raise CampaignError(f"limits.{platform}: {shown(key)} is unknown; use {', '.join(FREE)}")
            if key == "freeze":
                if not isinstance(bound, bool):
                    raise CampaignError(f"{where}: {shown(bound)}; give true or false")
                made[key] = bound
            else:
                made[key] = number(bound, where, 0.0, 1.0, "a share of the cycle budget from 0 to 1")
        made = {key: bound for key, bound in made.items() if bound != FREE[key]}
        if made:
            limits[platform] = made
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
