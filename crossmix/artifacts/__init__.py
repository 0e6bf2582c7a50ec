"""Every file that passes between steps, as a dataclass that loads and saves it: writer and reader share one definition.

    ingest    meta.json (`crossmix.schema.Meta`), report.json (`IngestReport`); of creators catalogue.json
              (`CatalogueReport`); train of creators trained.json (`CreatorsTrained`), of journeys
              journeys_trained.json (`JourneysTrained`)
    fusion    report.json (`FusionReport`)               market    report.json (`MarketReport`)
    train     curve.json (`Curve`), policy.*             align     the same, align.json (`Alignment`)
    gate      evaluation.json (`Evaluation`), gates.json (`GateTable`), of a spend history decision.json (`Decision`);
              of another task than the split figures.json (`TaskJudged`), of creators briefs.json (`CreatorsJudged`),
              of journeys journeys.json (`JourneysJudged`)
    meta      meta.json (`MetaTraining`), start.*        register  registration.json (`Registration`)
    champion  champion.json (`ServingVersion`)           feedback  feedback.json (`FeedbackReport`)
    readapt, finetune  readapt.json (`Readaptation`), policy.*
    judge     judged.json (`ReadaptationJudged`), gates.json      deploy  deployed.json (`Deployment`)
    a step    done.json (`Done`), or in the store error.json (`Failure`); stored.json says where in it (`Stored`)
    a run     state.json (`RunState`)
    its run   request.json (`ReadaptRequest`), result.json (`ReadaptResult`)
    a run     run.json (`RunRecord`), summary.json (`Summary`)

`policy.*` and `start.*` are networks: a JSON header and safetensors (`crossmix.artifacts.networks`), read and written
by `crossmix.training.policy_file`. The bundle, the market and the fusion's network have formats of their own, each with
its `save` and `load`.
"""

from crossmix.artifacts.creators import CatalogueReport, CreatorsJudged, CreatorsTrained
from crossmix.artifacts.decided import AllHistory, CampaignDecision, Decision, FirstTest, PlatformChange
from crossmix.artifacts.file import Artifact, ArtifactError, Part
from crossmix.artifacts.fitted import (
    Epoch,
    Estimate,
    FusionReport,
    FusionRows,
    HeadCalibration,
    HeadQuality,
    MarketCell,
    MarketReport,
    PlatformFit,
    Reliability,
    RocCurve,
)
from crossmix.artifacts.ingested import DaySpend, IngestReport, PlatformRates, Rates, Rows, Split
from crossmix.artifacts.journeys import JourneysJudged, JourneysTrained
from crossmix.artifacts.judged import (
    Bounds,
    ClassifierTest,
    Comparison,
    Deviation,
    Divergence,
    Evaluation,
    Figures,
    GateRow,
    GateTable,
    Interval,
    MarginalCurve,
    PlatformFigures,
    PlayerResult,
    Registration,
    Trajectory,
)
from crossmix.artifacts.networks import ActorSizes, PolicyHeader, StartHeader
from crossmix.artifacts.readapted import (
    Deployment,
    FeedbackReport,
    Lead,
    MovedLevel,
    Readaptation,
    ReadaptationJudged,
    ReadaptRequest,
    ReadaptResult,
    ServingVersion,
    SuspectCell,
    TriedWay,
)
from crossmix.artifacts.runs import (
    Done,
    Failure,
    RunRecord,
    RunState,
    Stored,
    Summary,
    SummaryBundle,
    SummaryFidelity,
    SummaryFusion,
    SummaryGate,
    SummaryPolicy,
    SummaryRegistry,
    SummaryRows,
)
from crossmix.artifacts.task_judged import TaskFigure, TaskJudged
from crossmix.artifacts.trained import Alignment, Best, Curve, CurvePoint, MetaPoint, MetaTraining

__all__ = [
    "ActorSizes",
    "Alignment",
    "AllHistory",
    "Artifact",
    "ArtifactError",
    "Best",
    "Bounds",
    "CampaignDecision",
    "CatalogueReport",
    "ClassifierTest",
    "Comparison",
    "CreatorsJudged",
    "CreatorsTrained",
    "Curve",
    "CurvePoint",
    "DaySpend",
    "Decision",
    "Deployment",
    "Deviation",
    "Divergence",
    "Done",
    "Epoch",
    "Estimate",
    "Evaluation",
    "Failure",
    "FeedbackReport",
    "Figures",
    "FirstTest",
    "FusionReport",
    "FusionRows",
    "GateRow",
    "GateTable",
    "HeadCalibration",
    "HeadQuality",
    "IngestReport",
    "Interval",
    "JourneysJudged",
    "JourneysTrained",
    "Lead",
    "MarginalCurve",
    "MarketCell",
    "MarketReport",
    "MetaPoint",
    "MetaTraining",
    "MovedLevel",
    "Part",
    "PlatformChange",
    "PlatformFigures",
    "PlatformFit",
    "PlatformRates",
    "PlayerResult",
    "PolicyHeader",
    "Rates",
    "ReadaptRequest",
    "ReadaptResult",
    "Readaptation",
    "ReadaptationJudged",
    "Registration",
    "Reliability",
    "RocCurve",
    "Rows",
    "RunRecord",
    "RunState",
    "ServingVersion",
    "Split",
    "StartHeader",
    "Stored",
    "Summary",
    "SummaryBundle",
    "SummaryFidelity",
    "SummaryFusion",
    "SummaryGate",
    "SummaryPolicy",
    "SummaryRegistry",
    "SummaryRows",
    "SuspectCell",
    "TaskFigure",
    "TaskJudged",
    "Trajectory",
    "TriedWay",
]
