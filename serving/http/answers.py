"""What the management routes answer, for OpenAPI; the routes' tests hold their answers against it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from crossmix.metrics import Arm


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
    timezone: str | None = Field(description="IANA, of its calendar days; null: cycles of a fixed length")
    paused: bool
    override: OverrideAnswer | None
    cycle: int = Field(description="that runs; below 0 before the start")


class SwitchedAnswer(CampaignAnswer):
    """The campaign with the change, which is served from now on."""

    pending: bool = Field(False, description="true: the database does not have it yet; absent: it has")
    note: str | None = Field(None, description="what pending means: who serves it, and what a restart does")


class CampaignsAnswer(Answer):
    """Campaigns, by name."""

    campaigns: list[CampaignAnswer]


class RowFault(Answer):
    """A row that cannot be used."""

    row: int = Field(ge=1, description="in the request, from 1")
    error: str


class ImportAnswer(Answer):
    """What became of rows that each count for themselves."""

    added: int
    same: int = Field(description="there already, as they would be made")
    faults: list[RowFault]


class EventFault(Answer):
    """An event that does not count."""

    event_id: str
    index: int = Field(ge=0, description="in the request")
    error: Annotated[str, Field(description="one sentence: what is wrong, and the remedy")]


class ReceiptAnswer(Answer):
    """What became of a request's events."""

    accepted: Annotated[int, Field(ge=0, description="counted now")]
    duplicates: Annotated[int, Field(ge=0, description="with the same content, before or earlier in the request")]
    late: Annotated[int, Field(ge=0, description="of those accepted: for a cycle that is over")]
    conflicts: list[EventFault] = Field(description="their id is known with other content")
    refused: list[EventFault] = Field(description="corrections that cannot be")


class PartialReceiptAnswer(ReceiptAnswer):
    """Some of the request's events do not count; the others are kept."""

    error: Annotated[str, Field(description="the first of them, and how many there are")]


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


class QuarantinedCell(Answer):
    """A cycle of a campaign's platform in an arm whose report is not believed."""

    campaign_id: str
    arm: Arm
    platform: str
    cycle: int
    cause: Literal["identity", "overspent", "impossible", "disagree", "shared"]
    quantity: str
    observed: float
    expected: float
    z: float | None = Field(description="standard deviations; null: of what needs no law")
    sentence: str = Field(description="what is wrong, for a person")
    since: datetime = Field(description="when it was first held, by the clock of the cycles")
    state: Literal["held", "confirmed", "discarded"]
    actor: str = Field(description="who put it into its state: guard, or a person")
    reason: str
    at: datetime = Field(description="since when it is in its state")


class QuarantineAnswer(Answer):
    """Cells whose reports are or were not believed."""

    cells: list[QuarantinedCell]


class Trouble(Answer):
    """What is away or refused, while the last good one serves; or what feedback lacks."""

    what: str
    why: str
    since: Annotated[str, Field(json_schema_extra={"format": "date-time"})]


class ExperimentInBrief(Answer):
    """Which experiment runs."""

    id: str
    weights: dict[Arm, float]
    ended: str | None = Field(description="why, where it has")
    everybody: Arm | None = Field(description="arm that every user gets since it ended; null while it runs")


class CanaryInBrief(Answer):
    """A version on trial."""

    version: int
    step: int = Field(description="from 1")
    part: float = Field(description="of the policy's users, in the cycles that begin now")


class KindAnswer(Answer):
    """What serves of a kind beside the split."""

    kind: str = Field(description="of bundles; also the name of its model")
    version: int | None = Field(description="in the registry; null: nothing of it serves")
    bundle: str | None = Field(description="its digest")
    since: float | None = Field(description="seconds, UTC")
    state: Literal["serving", "starting", "asking", "none"] = Field(
        description="while nothing serves: a bundle is starting, or the registry is being asked; none: it has none"
    )
    coming: int | None = Field(description="version that is starting; null: none is")
    trouble: str | None = Field(description="why another than the champion serves, or none; null: no trouble")


class KindsAnswer(Answer):
    """What serves where there is no split."""

    release: str | None = Field(description="what a deploy step rolled out; null: it was started otherwise")
    kinds: list[KindAnswer] = Field(description="kinds of bundles, each with a champion of its own")
    degraded: list[Trouble]


class ServingAnswer(Answer):
    """What serves: the registry's champion, as `crossmix promote` and `crossmix rollback` set it."""

    version: int | None = Field(description="in the registry")
    release: str | None = Field(description="what a deploy step rolled out; null: it was started otherwise")
    bundle: str = Field(description="its digest")
    since: float = Field(description="seconds, UTC")
    platforms: list[str]
    campaigns: list[str]
    experiment: ExperimentInBrief
    canary: CanaryInBrief | None = Field(description="null: no version is on trial")
    kinds: list[KindAnswer] = Field(description="the other kinds of bundles, each with a champion of its own")
    degraded: list[Trouble]


class TickPart(Answer):
    """A part of a tick."""

    name: str = Field(description="as in `degraded`")
    trouble: str | None = Field(description="why it failed, in a sentence; null: it did not")


class TickAnswer(Answer):
    """What a tick did."""

    now: datetime = Field(description="the server's clock as the tick began")
    pushed: int = Field(description="rows of statistics that went into the feature store")
    parts: list[TickPart] = Field(description="in the order in which they ran")
    serving: ServingAnswer


class HealthAnswer(Answer):
    """The process answers."""

    status: Literal["alive"]
    degraded: list[Trouble] = Field(description="what is away, as in every answer; the process lives all the same")


ExperimentState = Literal["running", "ended", "shipped", "replaced", "archived"]


class ExperimentSetting(Answer):
    """The experiment as it was planned and, where it has, ended."""

    id: str
    weights: dict[Arm, float]
    started: datetime
    planned_cycles: int
    cycle_hours: float
    level: float = Field(description="chance of a false positive")
    ended: datetime | None
    shipped: datetime | None = Field(description="since when the policy serves everybody")
    reason: str | None
    ended_by: str | None = Field(description="guardrail, or who")
    state: ExperimentState
    included: list[str] | None = Field(description="its campaigns; null: all")
    excluded: list[str] | None = Field(description="campaigns that it leaves out")


class ExperimentRow(Answer):
    """An experiment as it is kept."""

    id: str
    state: ExperimentState
    weights: dict[Arm, float] = Field(description="of users and budget")
    days: int = Field(description="planned cycles")
    level: float = Field(description="chance of a false positive")
    cycle_hours: float | None = Field(description="of its cycles; null: the longest of its campaigns'")
    included: list[str] | None = Field(description="its campaigns; null: all")
    excluded: list[str] | None = Field(description="campaigns that its verdict leaves out")
    started: datetime
    ended: datetime | None
    shipped: datetime | None = Field(description="since when the policy serves everybody")
    archived: datetime | None
    reason: str | None = Field(description="why it ended")
    ended_by: str | None = Field(description="guardrail, or who")


class ExperimentRows(Answer):
    """Experiments, the newest first."""

    experiments: list[ExperimentRow]


class LiftAnswer(Answer):
    """Policy over control, relative."""

    lift: float
    low: float | None = Field(description="null: not bounded yet")
    high: float | None
    level: float


class Verdict(Answer):
    """What the experiment says so far, in a word and a sentence."""

    word: str = Field(description="read from `interval` where there is one")
    line: str
    decided_by: Literal["sample ratio", "guardrail", "always-valid", "paired"] | None
    interval: LiftAnswer | None = Field(description="the lift of ROI that the word is read from; null: none decides")


class FinishedCycles(Answer):
    """How far it got."""

    finished: int
    with_feedback: int
    planned: int
    campaign_cycles_without_feedback: int
    campaign_cycles_held: int = Field(description="left out, as a report of theirs is not believed")


class SampleRatio(Answer):
    """Whether users are split as planned; an imbalance blocks the verdict."""

    users: dict[Arm, int]
    wanted: dict[str, float]
    p: float | None
    verdict: Literal["balanced", "imbalance", "insufficient data", "not applicable"]
    reason: str


class GuardrailAnswer(Answer):
    """A figure that must not get worse than its threshold, of all currencies together or of one alone."""

    name: str
    currency: str | None = Field(description="that it is looked at of alone; null: all together, or the only one")
    figure: str
    threshold: float = Field(description="relative")
    lift: float | None
    low: float | None
    high: float | None
    cycles: int = Field(description="that the lift is of: all, or the newest alone where they broke it")
    verdict: Literal["broken", "holds", "insufficient data"]
    detail: str = Field(description="how it stands, in words")
    sentence: str = Field(description="the same with the guardrail's name")


class DynamicReward(Answer):
    """Eq. 10 of an arm's cycles."""

    mean: float | None = Field(description="of the cycles; null: none has finished")
    by_cycle: list[float]


class Money(Answer):
    """Revenue beyond what control's ROI would have earned with the policy's planned budget, currency."""

    extra: float
    low: float | None = Field(description="null: not bounded yet")
    high: float | None
    base: float = Field(description="what control's ROI would have earned")


class CurrencyAnswer(Answer):
    """Everything of one currency; amounts are never added across currencies."""

    campaigns: int
    weight: float = Field(description="its part of the lifts over all currencies")
    arms: dict[Arm, dict[str, Any]] = Field(description="totals and figures")
    lifts: dict[str, dict[str, Any]]
    word: str = Field(description="what the always-valid interval of its own ROI says")
    money: Money | None
    by_cycle: list[dict[str, Any]]


class CampaignResults(Answer):
    """Results of campaigns, each by itself; 50 to a page."""

    page: int
    pages: int
    campaigns: int
    rows: list[dict[str, Any]]


class PhaseMark(Answer):
    """Something that was changed while the experiment ran."""

    at: datetime
    cycle: int = Field(description="of the experiment, from 1")
    begins: int = Field(description="first cycle that is wholly after it")
    what: str
    action: str = Field(description="of the audit trail")
    who: str
    subject: str = Field(description="campaign or version")
    version: int | None = Field(description="that serves from then on")
    reason: str


class ExperimentAnswer(Answer):
    """How the experiment stands. Lifts are relative, by figure, each with its tests or why there is none."""

    experiment: ExperimentSetting
    now: datetime
    as_of: datetime = Field(description="when the verdict was made")
    behind: bool = Field(description="something came since; a newer verdict is being made")
    verdict: Verdict
    cycles: FinishedCycles
    sample_ratio: SampleRatio
    currency: str | None = Field(description="null: several")
    currencies: dict[str, CurrencyAnswer]
    campaigns: list[str]
    by_campaign: CampaignResults
    arms: dict[Arm, dict[str, Any]] = Field(description="totals and figures")
    dynamic_reward: dict[Arm, DynamicReward] = Field(description="beside revenue; it decides nothing")
    lifts: dict[str, dict[str, Any]]
    platforms: dict[str, dict[str, Any]] = Field(description="arms and lifts of each")
    users: dict[str, Any] = Field(description="per user, where feedback tells one")
    guardrails: list[GuardrailAnswer]
    by_cycle: list[dict[str, Any]]
    phases: list[PhaseMark]
    by_phase: list[dict[str, Any]] = Field(description="lift of ROI within each phase, and since it began")
    late: list[dict[str, Any]] = Field(description="cycles whose revenue has changed since they were first counted")
    notes: list[str]
