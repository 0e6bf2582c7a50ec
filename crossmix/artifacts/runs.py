"""What a run and its step store keep: finished steps, the reason of a failure, the run's record and its summary."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from crossmix.artifacts.file import Artifact, Part
from crossmix.artifacts.judged import Interval
from crossmix.artifacts.task_judged import TaskJudged


@dataclass(frozen=True, kw_only=True, slots=True)
class Done(Artifact):
    """A finished step."""

    FILE: ClassVar[str] = "done.json"

    step: str
    key: str
    """Digest of everything that the result depends on; `none` without a store."""
    seconds: float
    finished: str
    """UTC time, for reading."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stored(Artifact):
    """Where in the step store a step's result is: what passes between pods that mount it."""

    FILE: ClassVar[str] = "stored.json"

    step: str
    key: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure(Artifact):
    """Why a step ended without a result."""

    FILE: ClassVar[str] = "error.json"

    step: str
    kind: Literal["input", "fault"]
    """`input`: the user can mend it, `message` says how; `fault`: ours, its traceback is in the log."""
    message: str


@dataclass(frozen=True, kw_only=True, slots=True)
class RunState(Artifact):
    """How a run on a cluster ended."""

    FILE: ClassVar[str] = "state.json"

    run: str
    """Kubeflow's id of it."""
    pipeline: str
    state: str
    """As Kubeflow says it: SUCCEEDED, FAILED or CANCELED."""
    at: str
    """UTC time, for reading."""
    error: str | None = None
    """Of the step that failed, where Kubeflow tells it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RunRecord(Artifact):
    """The last finished run of a folder."""

    FILE: ClassVar[str] = "run.json"

    run_id: str
    config: dict[str, Any]
    """As `crossmix.config.to_json` writes it."""
    steps: dict[str, str]
    """Step to its folder, relative to the run's."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SummaryRows(Part):
    """Rows of the log."""

    ingested: int
    quarantined: dict[str, int]
    """By the code of the rule that they broke."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SummaryFusion(Part):
    """Quality of the heads on held-out users; null for a spend history."""

    click_auc: float | None
    conversion_auc: float | None
    click_ece: float | None
    modalities: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class SummaryFidelity(Part):
    """A gate of the market."""

    value: float | None
    verdict: str


@dataclass(frozen=True, kw_only=True, slots=True)
class SummaryPolicy(Part):
    """The policy and its competitors, as the judge found them."""

    oracle_ratio: Interval
    gap_closed: Interval
    baselines: dict[str, Interval]
    """Competitor to its oracle ratio."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SummaryGate(Part):
    """A gate; its detail alone where it did not pass."""

    name: str
    value: float | None
    threshold: str
    verdict: str
    required: bool
    detail: str | None = None
    """The figures behind it, or why there are none, and what can be done; absent elsewhere."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SummaryRegistry(Part):
    """What was registered."""

    name: str
    version: int
    aliases: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class SummaryBundle(Part):
    """The run's own bundle."""

    path: str
    sha256: str
    """The bundle's digest."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary(Artifact):
    """The figures of a run."""

    FILE: ClassVar[str] = "summary.json"

    run_id: str
    source: str
    """`config.data.source`."""
    task: str | None = None
    """`config.task`; absent of a split, which has the next four, and no figures."""
    rows: SummaryRows | None = None
    fusion: SummaryFusion | None = None
    fidelity: dict[str, SummaryFidelity] | None = None
    """Gate without its `fidelity.`."""
    policy: SummaryPolicy | None = None
    figures: TaskJudged | None = None
    """Of another task."""
    gates: tuple[SummaryGate, ...]
    registry: SummaryRegistry | None
    """Null where a required gate did not pass; as the next."""
    bundle: SummaryBundle | None
    seconds: dict[str, float]
    """Step to the seconds it took, in the order of the report."""
    steps: dict[str, dict[str, float | str]] | None = None
    """Step to the figures that it declares; absent in summaries of earlier versions."""
