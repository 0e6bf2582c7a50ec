"""What a person may send of a campaign: each field is checked by itself, then the limits together. No database here.

Contract: docs/design.md#serving. A refusal is one sentence: field, value, remedy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)

from crossmix.clock import LATEST
from crossmix.constraints import InfeasibleError
from crossmix.constraints import check as check_box
from crossmix.cycles import ZoneError, zone
from crossmix.ledger.campaigns import FREE
from serving.fields import (
    LARGEST_AMOUNT,
    Body,
    ByPlatform,
    CampaignError,
    Moment,
    Name,
    Reason,
    Remedy,
    faulty,
    shown,
)

TOLERANCE = 1e-6
"""By which shares may miss a sum of 1."""
MOST_CYCLES = 1_000_000
LONGEST_CYCLE = 24 * 366.0
_SPLIT_REMEDY = 'give a share by platform, as {"search": 0.6, "social": 0.4}'
_LIMITS_REMEDY = 'give them by platform, as {"search": {"min": 0.1}}'

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False), Remedy("give a share from 0 to 1")]
Bound = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False), Remedy("give a share of the cycle budget from 0 to 1")]
Freeze = Annotated[bool, Remedy("give true or false")]


class Bounds(Body):
    """A platform's limits: shares of the cycle budget, and whether the share stays."""

    called = "limits"
    remedy = "give an object of min, max, step, freeze"
    min: Bound = FREE["min"]
    max: Bound = FREE["max"]
    step: Annotated[Bound, Field(description="largest change from cycle to cycle")] = FREE["step"]
    freeze: Freeze = FREE["freeze"]

    def binding(self) -> dict[str, Any]:
        """Those that bind something."""
        return {name: bound for name, bound in self if bound != FREE[name]}


def _no_path(name: str) -> str:
    if name in (".", "..") or name != name.strip():
        raise faulty(f"{name!r}; give a name without blanks around it")
    return name


def _or_kept(value: Any, handler: ValidatorFunctionWrapHandler, info: ValidationInfo) -> str:
    """A generated log's own currency may stay (the context's `currency`), but not come."""
    kept = (info.context or {}).get("currency")
    return value if kept is not None and value == kept else handler(value)  # type: ignore[no-any-return]


def _sums_to_one(share: dict[str, float], info: ValidationInfo) -> dict[str, float]:
    total = sum(share.values())
    if abs(total - 1) > TOLERANCE:
        raise faulty(f"the shares sum to {total:.7g}; make them sum to 1")
    platforms = (info.context or {}).get("platforms") or tuple(share)
    return {platform: share.get(platform, 0.0) for platform in platforms}


def _feasible(limits: dict[str, Bounds], info: ValidationInfo) -> dict[str, Bounds]:
    platforms = (info.context or {}).get("platforms") or tuple(limits)
    rows = [limits.get(platform) or Bounds() for platform in platforms]
    low, high = (np.array([[getattr(row, name) for row in rows]], float) for name in ("min", "max"))
    try:
        check_box(low, high, platforms)
    except InfeasibleError as error:
        raise faulty(str(error)) from None
    return limits


CampaignId = Annotated[Name, AfterValidator(_no_path), Field(description="its name")]
Currency = Annotated[
    str,
    Field(pattern="^[A-Z]{3}$"),
    Remedy("give three capital letters, as EUR"),
    WrapValidator(_or_kept),
]
Budget = Annotated[
    float,
    Field(gt=0, le=LARGEST_AMOUNT, allow_inf_nan=False, description="of all arms together, currency per cycle"),
    Remedy("give an amount above 0, or pause the campaign"),
]
Split = Annotated[
    dict[str, Share],
    AfterValidator(_sums_to_one),
    ByPlatform(_SPLIT_REMEDY),
    Field(description="share by platform; sums to 1"),
]
Limits = Annotated[
    dict[str, Bounds], AfterValidator(_feasible), ByPlatform(_LIMITS_REMEDY), Field(description="by platform")
]
Cycles = Annotated[
    int,
    Field(ge=1, le=MOST_CYCLES, description="how many are planned"),
    Remedy(f"give a whole number from 1 to {MOST_CYCLES:,}"),
]
Hours = Annotated[
    float,
    Field(ge=1 / 3_600, le=LONGEST_CYCLE, allow_inf_nan=False, description="length of a cycle: 24 for days"),
    Remedy("give hours, a second at least, 24 for days"),
]


def _zone(name: str) -> str:
    try:
        zone(name)
    except ZoneError as error:
        raise faulty(str(error)) from None
    return name


Zone = Annotated[
    str,
    Field(max_length=60, description="IANA, whose calendar days cycles of 24 hours are; null: 24 hours from the start"),
    AfterValidator(_zone),
    Remedy("give an IANA time zone, as Europe/Berlin, or null"),
]


class NewCampaign(Body):
    """A campaign as a person plans it."""

    called = "campaign"
    hints: ClassVar[Mapping[str, str]] = {"paused": "pause or resume it by its own request"}
    campaign_id: CampaignId
    currency: Currency
    cycle_budget: Budget
    share: Split
    limits: Limits | None = None
    starts: Moment
    cycles: Cycles
    cycle_hours: Hours
    timezone: Zone | None = "UTC"

    @model_validator(mode="after")
    def _ends_in_time(self) -> Self:
        if self.cycles * timedelta(hours=self.cycle_hours) > LATEST - self.starts:
            raise faulty(f"cycles: {self.cycles:,} of {self.cycle_hours:g} hours end after {LATEST.year}; give fewer")
        return self

    def fields(self) -> dict[str, Any]:
        """Each field of a campaign that a person plans, limits that bind nothing left out."""
        bounds = {platform: bounds.binding() for platform, bounds in (self.limits or {}).items()}
        return {**dict(self), "limits": {platform: bound for platform, bound in bounds.items() if bound}}


class EditedBounds(Bounds):
    """A platform's limits in an edit: null takes one off."""

    min: Bound | None = None  # type: ignore[assignment]
    max: Bound | None = None  # type: ignore[assignment]
    step: Bound | None = None  # type: ignore[assignment]
    freeze: Freeze | None = None  # type: ignore[assignment]


def _partial(schema: dict[str, Any]) -> None:
    schema["minProperties"] = 1
    for field in schema["properties"].values():
        field.pop("default", None)  # what is absent stays


_UNCHANGED: Any = None


class Edit(Body):
    """The fields of a campaign to change; their values are checked in the campaign that they make."""

    model_config = ConfigDict(json_schema_extra=_partial)
    called = "edit"
    remedy = "send an object of the fields to change"
    hints: ClassVar[Mapping[str, str]] = NewCampaign.hints
    currency: Currency = _UNCHANGED
    cycle_budget: Budget = _UNCHANGED
    share: Split = _UNCHANGED
    limits: dict[str, EditedBounds | None] | None = Field(None, description="by platform; null takes its limits off")
    starts: Moment = _UNCHANGED
    cycles: Cycles = _UNCHANGED
    cycle_hours: Hours = _UNCHANGED
    timezone: Zone | None = _UNCHANGED


class NewOverride(Body):
    """A person's split, served in every arm until it is lifted."""

    called = "override"
    old_names = frozenset({"why"})
    kind: Annotated[
        Literal["static", "given"],
        Field(description="static: the campaign's own split, the kill switch"),
        Remedy("use static (the campaign's own split) or given"),
    ]
    share: Split | None = Field(None, description="of kind given: share by platform; sums to 1")
    reason: Reason = ""
    why: Reason | None = Field(None, description="its name is reason now", json_schema_extra={"deprecated": True})

    @model_validator(mode="after")
    def _share_where_given(self) -> Self:
        if self.kind == "static" and self.share is not None:
            raise faulty("share: the static split is the campaign's own; leave share out, or use kind given")
        if self.kind == "given" and self.share is None:
            raise faulty(f"share: missing; {_SPLIT_REMEDY}")
        return self


def check(raw: Any, platforms: Sequence[str], currency: str | None = None) -> dict[str, Any]:
    """The fields that a person plans, each of its type, from what was sent (`limits` may be absent).

    Args:
        currency: a name that may stay though it is not three capital letters: public and generated logs have their own.

    Raises:
        CampaignError: names the first that cannot be used.
    """
    return NewCampaign.read(raw, platforms=tuple(platforms), currency=currency).fields()


def check_changes(changes: Any) -> None:
    """Raise `CampaignError` where an edit names a field that none can change; values are checked with the rest."""
    if not isinstance(changes, Mapping) or not changes:
        raise CampaignError(f"edit: {shown(changes)}; {Edit.remedy}")
    if "campaign_id" in changes:
        raise CampaignError("campaign_id: a name cannot be changed; create another campaign")
    Edit.check_names(changes)


def check_override(kind: Any, share: Any, platforms: Sequence[str]) -> dict[str, float] | None:
    """An override's split: of a given one, and `None` of the static one; raises `CampaignError`."""
    return NewOverride.read({"kind": kind, "share": share}, platforms=tuple(platforms)).share


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
