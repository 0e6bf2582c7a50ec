"""summary.json: the figures of a run, gathered from its steps' folders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from components.declared import Step
from crossmix import bundle as bundles
from crossmix.artifacts import (
    Done,
    Evaluation,
    FusionReport,
    GateRow,
    GateTable,
    IngestReport,
    Registration,
    Summary,
    SummaryBundle,
    SummaryFidelity,
    SummaryFusion,
    SummaryGate,
    SummaryPolicy,
    SummaryRegistry,
    SummaryRows,
    TaskJudged,
)
from crossmix.config import Config
from crossmix.verdicts import FAIL, INSUFFICIENT

FIDELITY = "fidelity."
"""Begins the names of the market's gates."""


def collect(
    config: Config,
    declared: Mapping[str, Step],
    folders: Mapping[str, Path],
    run_id: str,
    registered: Registration | None,
    bundle: Path | None,
) -> Summary:
    """The summary; everything but `run_id`, `seconds`, the path and the aliases follows from config and input alone.

    Args:
        declared: every step, in the order of the summary.
        folders: each finished step's folder; without `register` where a required gate did not pass.
        registered: name, version and aliases as they are now, where the run registered its bundle.
        bundle: the run's own bundle, where it was registered.
    """
    gates = GateTable.load(folders["gate"]).gates
    finished = {name: step for name, step in declared.items() if name in folders}
    figures = {name: step.measured(folders[name]) for name, step in finished.items()}
    return Summary(
        run_id=run_id,
        source=config.data.source,
        **(_split(folders, gates) if config.task == "split" else _other(config, folders)),
        gates=tuple(
            SummaryGate(
                name=gate.name,
                value=gate.value,
                threshold=gate.threshold,
                verdict=gate.verdict,
                required=gate.required,
                detail=gate.detail if gate.verdict in (FAIL, INSUFFICIENT) else None,
            )
            for gate in gates
        ),
        registry=None
        if registered is None
        else SummaryRegistry(name=registered.name, version=registered.version, aliases=registered.aliases),
        bundle=None if bundle is None else SummaryBundle(path=str(bundle), sha256=digest_of(bundle)),
        seconds={name: Done.load(folders[name]).seconds for name in finished},
        steps={name: measured for name, measured in figures.items() if measured},
    )


def _split(folders: Mapping[str, Path], gates: Sequence[GateRow]) -> dict[str, Any]:
    rows = IngestReport.load(folders["ingest"]).rows
    policies = Evaluation.load(folders["gate"]).policies
    return {
        "rows": SummaryRows(ingested=rows.ingested, quarantined=rows.quarantined),
        "fusion": _fusion(FusionReport.load(folders["fusion"])),
        "fidelity": {
            gate.name.removeprefix(FIDELITY): SummaryFidelity(value=gate.value, verdict=gate.verdict)
            for gate in gates
            if gate.name.startswith(FIDELITY)
        },
        "policy": SummaryPolicy(
            oracle_ratio=policies["policy"].oracle_ratio,
            gap_closed=policies["policy"].gap_closed,
            baselines={
                name: result.oracle_ratio
                for name, result in policies.items()
                if name != "policy" and not result.clairvoyant
            },
        ),
    }


def _other(config: Config, folders: Mapping[str, Path]) -> dict[str, Any]:
    return {"task": config.task, "figures": TaskJudged.load(folders["gate"])}


def digest_of(bundle: Path) -> str:
    """The digest of a bundle of any kind, its files verified; raises `BundleError`."""
    return str(bundles.verified(bundle)["digest"])


def _fusion(report: FusionReport) -> SummaryFusion:
    click, conversion = report.click, report.conversion
    return SummaryFusion(
        click_auc=None if click is None else click.auc,
        conversion_auc=None if conversion is None else conversion.auc,
        click_ece=None if click is None else click.ece,
        modalities=report.modalities,
    )


def own_bundle(judged: Path, champion: Path) -> Path:
    """The champion's folder where the champion is the bundle that this run judged, else the judged one's."""
    return champion if digest_of(judged) == digest_of(champion) else judged
