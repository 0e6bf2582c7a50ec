"""Every file that passes between steps, as a dataclass that loads and saves it: writer and reader share one definition.

    ingest    meta.json (`crossmix.schema.Meta`), report.json (`IngestReport`)
    fusion    report.json (`FusionReport`)               market    report.json (`MarketReport`)
    train     curve.json (`Curve`), policy.*             align     the same, align.json (`Alignment`)
    gate      evaluation.json (`Evaluation`), gates.json (`GateTable`)
    meta      meta.json (`MetaTraining`), start.*        register  registration.json (`Registration`)
    a step    done.json (`Done`), or in the store error.json (`Failure`)
    a run     run.json (`RunRecord`), summary.json (`Summary`)

`policy.*` and `start.*` are networks: a JSON header and safetensors (`crossmix.artifacts.networks`), which
`crossmix.training.policy_file` writes and reads. The bundle, the market and the fusion's network have formats of their
own, each with its `save` and `load`.
"""

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
from crossmix.artifacts.runs import (
    Done,
    Failure,
    RunRecord,
    Summary,
    SummaryBundle,
    SummaryFidelity,
    SummaryFusion,
    SummaryGate,
    SummaryPolicy,
    SummaryRegistry,
    SummaryRows,
)
from crossmix.artifacts.trained import Alignment, Best, Curve, CurvePoint, MetaPoint, MetaTraining

__all__ = [
    "ActorSizes",
    "Alignment",
    "Artifact",
    "ArtifactError",
    "Best",
    "Bounds",
    "ClassifierTest",
    "Comparison",
    "Curve",
    "CurvePoint",
    "DaySpend",
    "Deviation",
    "Divergence",
    "Done",
    "Epoch",
    "Estimate",
    "Evaluation",
    "Failure",
    "Figures",
    "FusionReport",
    "FusionRows",
    "GateRow",
    "GateTable",
    "HeadCalibration",
    "HeadQuality",
    "IngestReport",
    "Interval",
    "MarginalCurve",
    "MarketCell",
    "MarketReport",
    "MetaPoint",
    "MetaTraining",
    "Part",
    "PlatformFigures",
    "PlatformFit",
    "PlatformRates",
    "PlayerResult",
    "PolicyHeader",
    "Rates",
    "Registration",
    "Reliability",
    "RocCurve",
    "Rows",
    "RunRecord",
    "Split",
    "StartHeader",
    "Summary",
    "SummaryBundle",
    "SummaryFidelity",
    "SummaryFusion",
    "SummaryGate",
    "SummaryPolicy",
    "SummaryRegistry",
    "SummaryRows",
    "Trajectory",
]
