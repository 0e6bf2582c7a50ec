"""What task `creators` learned from, whether its predictor keeps its word, and how the walk was trained."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crossmix.pages.charts import ACCENT, DASHES, INK, Chart
from crossmix.pages.format import count, decimal, number, percent
from crossmix.pages.scales import Axis, Scale
from crossmix.pages.table import Cell, Table
from crossmix.report.section import SECTIONS, Section, absent, markup

if TYPE_CHECKING:
    from markupsafe import Markup

    from crossmix.artifacts import CatalogueReport
    from crossmix.artifacts.creators import PredictorCalibration, WalkTraining
    from crossmix.report.inputs import ReportInputs


def channels(report: CatalogueReport) -> Table:
    """A row per channel."""
    rows = tuple(
        (
            Cell(name),
            Cell(count(one.creators), "num"),
            Cell(count(one.median_followers), "num"),
            Cell(count(one.median_price), "num"),
            Cell(percent(one.median_rate), "num"),
            Cell(count(one.results), "num"),
        )
        for name, one in report.channels.items()
    )
    unit = f" Prices in {report.currency}." if report.currency else ""
    head = ("", "Creators", "Median followers", "Median price", "Median interaction rate", "Past results")
    return Table(f"Prices are of one collaboration.{unit}", head, rows)


def calibration(found: PredictorCalibration) -> Markup:
    """Held-out log results against their prediction, ten equal parts, with intervals; a diagonal where they agree."""
    ends = [end for one in found.bins for end in (one.predicted, one.low, one.high)]
    low, high = min(ends), max(ends)
    margin = 0.06 * (high - low) or 0.5
    scale = Scale(low - margin, high + margin)
    chart = Chart("calibration of the predictor", height=330.0)
    panel = chart.panel(Axis(scale, "predicted log effect"), Axis(scale, "log effect that was seen"), square=True)
    panel.line([scale.low, scale.high], [scale.low, scale.high], INK, width=1.2, dash=DASHES)
    for one in found.bins:
        panel.line([one.predicted, one.predicted], [one.low, one.high], ACCENT, width=2.0)
    panel.dots([one.predicted for one in found.bins], [one.observed for one in found.bins], ACCENT)
    return chart.svg()


def returns(walk: WalkTraining) -> Markup:
    """Mean return of each part of the walk's training."""
    low, high = min(walk.returns), max(walk.returns)
    margin = 0.08 * (high - low) or 0.1
    chart = Chart("return of the walk while training")
    panel = chart.panel(
        Axis(Scale(0, walk.episodes), "walks"), Axis(Scale(low - margin, high + margin), "mean return, with noise")
    )
    parts = len(walk.returns)
    panel.line([walk.episodes * (at + 0.5) / parts for at in range(parts)], walk.returns, ACCENT)
    return chart.svg()


def _data(inputs: ReportInputs) -> Markup:
    report = inputs.catalogue
    if report is None:
        return absent("No catalogue is there: the ingest step has not run.")
    categories = ", ".join(f"{name} {count(number_)}" for name, number_ in report.categories.items())
    return markup("creators_data.html.j2", report=report, channels=channels(report), categories=categories)


def _predictor(inputs: ReportInputs) -> Markup:
    if inputs.trained is None:
        return absent("No predictor is there: the train step has not run.")
    found = None if inputs.briefs is None else inputs.briefs.calibration
    told = (
        {}
        if found is None
        else {
            "results": count(found.results),
            "slope": f"{decimal(found.slope)} ± {decimal(1.96 * found.slope_error)}",
            "coverage": percent(found.coverage),
            "picked": decimal(found.picked),
            "picked_raw": decimal(found.picked_raw),
        }
    )
    return markup(
        "creators_predictor.html.j2",
        trained=inputs.trained,
        tau=number(inputs.trained.tau),
        sigma=number(inputs.trained.sigma),
        chart=None if found is None else calibration(found),
        told=told,
    )


def _walk(inputs: ReportInputs) -> Markup | None:
    if inputs.trained is None or inputs.trained.walk is None:
        return None
    walk = inputs.trained.walk
    return markup("creators_walk.html.j2", walk=walk, chart=returns(walk))


DATA = SECTIONS.register(
    Section(name="catalogue", order=22, title="Who can be bought", link="Catalogue", body=_data, tasks=("creators",))
)
PREDICTOR = SECTIONS.register(
    Section(
        name="predictor", order=32, title="Does the predictor keep its word?", link="Predictor", body=_predictor,
        tasks=("creators",),
    )
)  # fmt: skip
WALK = SECTIONS.register(
    Section(name="walk", order=42, title="The walk’s training", link="Walk", body=_walk, tasks=("creators",))
)
