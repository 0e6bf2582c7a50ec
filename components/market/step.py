"""Market, as declared (`components.declared`)."""

from __future__ import annotations

from pathlib import Path

from components.declared import Step
from crossmix.artifacts import MarketReport


def told(folder: Path) -> tuple[str, ...]:
    """How late conversions come, where totals told."""
    report = MarketReport.found(folder)
    return (report.late,) if report is not None and report.late else ()


STEP = Step(
    name="market",
    order=40,
    core="crossmix.market.fit.fit:fit",
    settings=("market", "limits"),
    told=told,
)
