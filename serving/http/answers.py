"""What the management routes answer, for OpenAPI; the routes' tests hold their answers against it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Arms = Literal["policy", "control"]


class Answer(BaseModel):
    """An object of an answer; more may be in it by and by."""

    model_config = ConfigDict(extra="allow")


class Error(Answer):
    """What is wrong."""

    error: Annotated[str, Field(description="one sentence: what is wrong, and the remedy")]


class OverrideAnswer(Answer):
    """A person's split, served in every arm."""

    kind: Literal["static", "given"]
    share: dict[str, float] | None = Field(description="by platform, of a given split")
    actor: str = Field(description="who set it")
    reason: str
    at: datetime


class CampaignAnswer(Answer):
    """A campaign, with the cycle that runs."""

    campaign_id: str
    currency: str = Field(description="three capital letters, or what a generated log calls its money")
    cycle_budget: float = Field(description="of all arms together, currency per cycle")
    share: dict[str, float] = Field(description="the static split, by platform")
    limits: dict[str, dict[str, float | bool]] = Field(description="by platform, those that bind something")
    starts: datetime
    cycles: int = Field(description="how many are planned")
    cycle_hours: float
    paused: bool
    override: OverrideAnswer | None
    cycle: int = Field(description="that runs; below 0 before the start")


class CampaignsAnswer(Answer):
    """Campaigns, by name."""

    campaigns: list[CampaignAnswer]


class ReceiptAnswer(Answer):
    """What became of a request's events."""

    accepted: Annotated[int, Field(ge=0, description="counted now")]
    duplicates: Annotated[int, Field(ge=0, description="counted before, or earlier in the request")]
    late: Annotated[int, Field(ge=0, description="of those accepted: for a cycle that is over")]


class AuditEntry(Answer):
    """One change."""

    id: int
    at: datetime
    actor: str = Field(description="who changed it")
    action: str = Field(description="as campaign.edit, override.set, bundle.serve")
    subject: str = Field(description="the campaign, version or experiment")
    before: Any
    after: Any
    reason: str


class AuditAnswer(Answer):
    """The audit trail, the newest first."""

    entries: list[AuditEntry]


class Trouble(Answer):
    """What is away or refused, while the last good one serves."""

    what: str
    why: str
    since: datetime


class ExperimentInBrief(Answer):
    """Which experiment runs."""

    id: str
    weights: dict[Arms, float]
    ended: str | None = Field(description="why, where it has")


class ServingAnswer(Answer):
    """What serves: the registry's champion, as `crossmix promote` and `crossmix rollback` set it."""

    version: int | None = Field(description="in the registry")
    bundle: str = Field(description="its digest")
    since: float = Field(description="seconds, UTC")
    platforms: list[str]
    campaigns: list[str]
    experiment: ExperimentInBrief
    degraded: list[Trouble]


class HealthAnswer(Answer):
    """The process answers."""

    status: Literal["alive"]
