"""What the steps of re-adaptation tell: who serves, what came back, what was tried, whether a server took it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from crossmix.artifacts.file import Artifact, Part


@dataclass(frozen=True, kw_only=True, slots=True)
class ServingVersion(Artifact):
    """The champion that is to be adapted; its policy, market and start lie beside it."""

    FILE: ClassVar[str] = "champion.json"

    name: str
    """Of the registered model."""
    version: int
    bundle_digest: str
    start: bool
    """Whether it has a meta-trained start."""
    until: str | None
    """Market time up to which its market has taken in feedback, ISO 8601; null: none since the log."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SuspectCell(Part):
    """A report that cannot be so (`crossmix.market.plausible`) and that nobody has decided on."""

    cause: str
    arm: str
    campaign: str
    platform: str
    cycle: int
    """The newest of its campaign's cycles."""
    first: int
    quantity: str
    observed: float
    expected: float
    z: float | None
    """Standard deviations from what may be; null: of what needs no law."""
    sentence: str


@dataclass(frozen=True, kw_only=True, slots=True)
class FeedbackReport(Artifact):
    """What was read of the ledger; the cycles themselves lie in feedback.npz and served.npz."""

    FILE: ClassVar[str] = "feedback.json"

    at: str
    """Market time up to which was read, ISO 8601."""
    until: str | None
    """End of the newest cycle, ISO 8601; null: none has finished."""
    cycles: int
    """Rows that tell something."""
    warming: int
    """Rows before them, of which clicks alone are known: conversions of those are still due."""
    day: int
    """Days since the newest campaign's first cycle, from 1: t of eq. 12."""
    campaigns: tuple[str, ...]
    """Of the market, which have feedback."""
    left_out: dict[str, str]
    """Campaigns that do not count, and why."""
    arms: tuple[str, ...]
    """That delivered anything."""
    suspects: tuple[SuspectCell, ...]
    """Unknown in what the market is refitted on."""
    served: int
    """Cycles that eq. 12 and off-policy estimates can learn from."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Lead(Part):
    """Of expected revenue over the champion's, in parts of the oracle's."""

    mean: float
    ci95: tuple[float, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class TriedWay(Part):
    """A way to adapt: tried, or left out and why."""

    name: str
    left_out: str | None = None
    label: str | None = None
    oracle_ratio: float | None = None
    """Expected revenue over the oracle's in the refitted market."""
    lead: Lead | None = None
    seconds: float | None = None
    """Processor time that making it took."""
    updates: int | None = None
    """Gradient steps."""
    kept: bool | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class MovedLevel(Part):
    """A quantity of a campaign's platform that is more likely to have moved than not."""

    campaign: str
    platform: str
    quantity: str
    factor: float
    """On what the champion's market holds."""
    ci95: tuple[float, float]
    probability: float
    """That it has moved."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Readaptation(Artifact):
    """What moved, what was tried, what was kept."""

    FILE: ClassVar[str] = "readapt.json"

    version: int
    """Champion that it started from."""
    until: str | None
    """Market time up to which the refitted market has taken in feedback."""
    kept: str
    """Name of the way that was kept."""
    tried: tuple[TriedWay, ...]
    """The champion first."""
    moved: tuple[MovedLevel, ...]
    """The surest first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadaptationJudged(Artifact):
    """Challenger and champion in the refitted market, on seeds on which nothing was chosen."""

    FILE: ClassVar[str] = "judged.json"

    version: int
    """The champion."""
    bundle_digest: str
    """The champion's."""
    oracle_ratio: float
    """Of the challenger."""
    champion_ratio: float
    lead: Lead
    market_seeds: int
    cycles: int
    """Played per seed and campaign."""
    outcome: Literal["adapted", "nothing to gain", "stopped"]
    reason: str
    """Sentence."""
    generated: bool
    """Whether the market's log comes from our own generator."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Deployment(Artifact):
    """What became of the challenger."""

    FILE: ClassVar[str] = "deployed.json"

    version: int
    state: Literal["canary", "champion", "waits"]
    detail: str
    """Sentence."""
    rollout: str = ""
    """What was rolled out on a cluster, or that nothing was; "": a step of before."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadaptRequest(Artifact):
    """A run of re-adaptation that was asked for; the same again goes on with it."""

    FILE: ClassVar[str] = "request.json"

    run: str
    pipeline: Literal["readapt", "online"]
    at: str
    """Market time up to which feedback is read, ISO 8601."""
    overrides: tuple[str, ...]
    """Changes of the run's config, as KEY=VALUE."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadaptResult(Artifact):
    """How it ended."""

    FILE: ClassVar[str] = "result.json"

    run: str
    outcome: Literal["adapted", "nothing to gain", "stopped", "dry run"]
    reason: str
    """Sentence."""
    status: int
    """Exit status of the command."""
    version: int | None
    """That was registered."""
    deployed: Literal["canary", "champion", "waits"] | None
    steps: dict[str, str]
    """Step to its folder, relative to the folder of the trained run."""
