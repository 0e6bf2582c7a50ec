"""What a report is made from: the typed files that a run's steps left."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from crossmix.artifacts import (
    Alignment,
    Artifact,
    CatalogueReport,
    CreatorsJudged,
    CreatorsTrained,
    Curve,
    Decision,
    Evaluation,
    FusionReport,
    GateTable,
    IngestReport,
    JourneysJudged,
    JourneysTrained,
    MarketReport,
    MetaTraining,
    PlayerResult,
    Registration,
    Summary,
    TaskJudged,
)
from crossmix.schema import Meta

FOLDERS = {
    "ingest": ("ingest", "dataset"),
    "fusion": ("fusion",),
    "market": ("market",),
    "train": ("train", "policy"),
    "align": ("align", "aligned"),
    "meta": ("meta", "start"),
    "gate": ("gate", "evaluation"),
    "register": ("register", "registration"),
}
"""Step to the names under which a caller may hand its folder over."""
VERSIONS = (
    "crossmix",
    "torch",
    "numpy",
    "transformers",
    "duckdb",
    "ibis-framework",
    "feast",
    "kfp",
    "mlflow",
    "onnxruntime",
)
"""Packages whose versions stand below the report."""

File = TypeVar("File", bound=Artifact)


@dataclass(frozen=True, slots=True)
class ReportInputs:
    """What a run left; each part is `None` where its step has not run."""

    meta: Meta | None = None
    ingest: IngestReport | None = None
    fusion: FusionReport | None = None
    market: MarketReport | None = None
    curve: Curve | None = None
    align: Alignment | None = None
    meta_training: MetaTraining | None = None
    evaluation: Evaluation | None = None
    gates: GateTable | None = None
    decision: Decision | None = None
    """Of a spend history."""
    registration: Registration | None = None
    judged: TaskJudged | None = None
    """Of another task than the split."""
    catalogue: CatalogueReport | None = None
    """Of task `creators`, as the next two."""
    trained: CreatorsTrained | None = None
    briefs: CreatorsJudged | None = None
    journeys_trained: JourneysTrained | None = None
    """Of task `journeys`, as the next."""
    journeys: JourneysJudged | None = None
    summary: Summary | None = None
    folders: Mapping[str, Path] = field(default_factory=dict)
    """Every step's folder as the caller names it, for sections of further steps."""
    versions: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def collect(cls, steps: Mapping[str, Path], summary: Summary | None = None) -> ReportInputs:
        """Read the steps' folders, by step name or by the name of the folder's kind; absent files are absent parts.

        Raises:
            ArtifactError: a file is there and cannot be read.
        """

        def read(step: str, kind: type[File]) -> File | None:
            parts = (kind.found(steps[name]) for name in FOLDERS[step] if name in steps)
            return next((part for part in parts if part is not None), None)

        return cls(
            meta=read("ingest", Meta),
            ingest=read("ingest", IngestReport),
            fusion=read("fusion", FusionReport),
            market=read("market", MarketReport),
            curve=read("train", Curve),
            align=read("align", Alignment),
            meta_training=read("meta", MetaTraining),
            evaluation=read("gate", Evaluation),
            gates=read("gate", GateTable),
            decision=read("gate", Decision),
            registration=read("register", Registration),
            judged=read("gate", TaskJudged),
            catalogue=read("ingest", CatalogueReport),
            trained=read("train", CreatorsTrained),
            journeys_trained=read("train", JourneysTrained),
            journeys=read("gate", JourneysJudged),
            briefs=read("gate", CreatorsJudged),
            summary=summary,
            folders=dict(steps),
            versions=_versions(),
        )

    @property
    def task(self) -> str:
        """`config.task` of the run."""
        if self.judged is not None:
            return self.judged.task
        if self.journeys_trained is not None:
            return "journeys"
        return "split" if self.catalogue is None else "creators"

    @property
    def generated(self) -> bool:
        """Whether the log comes from our own generator."""
        origin = self.evaluation or self.meta or self.judged or self.catalogue
        return origin is not None and origin.generated

    @property
    def of_totals(self) -> bool:
        """Whether the log is a spend history: no auction, user or single impression was seen."""
        return self.meta is not None and self.meta.aggregate

    @property
    def currency(self) -> str:
        """Unit of money, for labels."""
        origin = self.evaluation or self.meta
        return "currency" if origin is None else origin.currency

    @property
    def campaigns(self) -> tuple[str, ...]:
        """Names of the campaigns."""
        origin = self.evaluation or self.meta
        return () if origin is None else origin.campaigns

    @property
    def ended(self) -> tuple[str, ...]:
        """Of a spend history the campaigns that are over."""
        return () if self.decision is None else tuple(one.campaign for one in self.decision.campaigns if one.ended)

    @property
    def source(self) -> str | None:
        """Where the log came from."""
        if self.meta is not None:
            return self.meta.source
        if self.catalogue is not None:
            return self.catalogue.source
        return None if self.summary is None else self.summary.source

    @property
    def policy(self) -> PlayerResult | None:
        """How the policy did."""
        return None if self.evaluation is None else self.evaluation.policies.get("policy")


def _versions() -> dict[str, str]:
    import platform
    from importlib.metadata import PackageNotFoundError, version

    known = {"python": platform.python_version()}
    for name in VERSIONS:
        try:
            known[name] = version(name)
        except PackageNotFoundError:
            known[name] = "not installed"
    return known
