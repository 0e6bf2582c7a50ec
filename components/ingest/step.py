"""Ingest, as declared (`components.declared`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from components.declared import Step, Task
from crossmix.artifacts import CatalogueReport, IngestReport


def figures(folder: Path) -> dict[str, Any]:
    """Rows, and the log's rates."""
    report = IngestReport.load(folder).plain()
    return {"rows": report["rows"]["ingested"], **report["rates"]}


def told(folder: Path) -> tuple[str, ...]:
    """What became of the log's rows and money, but for what is as it should be."""
    report = IngestReport.found(folder)
    return () if report is None else report.told


def catalogue(folder: Path) -> dict[str, Any]:
    """Creators, and what is known of them."""
    report = CatalogueReport.load(folder)
    return {"creators": report.creators, "past_results": report.results, "with_results": report.with_results}


STEP = Step(
    name="ingest",
    order=10,
    core="crossmix.ingest.step:ingest",
    settings=("data",),
    reads_log=True,
    figures=figures,
    shown=("rows",),
    told=told,
    tasks=(
        Task(
            name="creators",
            core="crossmix.creators.step_ingest:ingest",
            settings=("data", "creators.demo"),
            figures=catalogue,
            shown=("creators", "past_results"),
        ),
        Task(
            name="journeys",
            core="crossmix.ingest.step:ingest",
            settings=("data",),
            figures=figures,
            shown=("rows",),
            told=told,
        ),
    ),
)
