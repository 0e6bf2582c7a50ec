"""Platform by platform: the policy beside control and oracle, and every metric of every competitor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crossmix.artifacts import Evaluation, Figures, PlayerResult
from crossmix.metrics import AMOUNTS, METRIC, Metric, formula
from crossmix.pages.format import finite, metric
from crossmix.pages.table import Cell, Table
from crossmix.report.policies import ordered
from crossmix.report.section import SECTIONS, Section, absent, markup

if TYPE_CHECKING:
    from collections.abc import Mapping

    from markupsafe import Markup

    from crossmix.report.inputs import ReportInputs

BESIDE = ("policy", "control", "oracle")
COMPARED = ("share", "roi", "cpa", "utilisation")


def comparison(evaluation: Evaluation) -> Table:
    """A row per platform: what the policy gives and gets beside control and oracle."""
    policies = {name: evaluation.policies[name] for name in BESIDE if name in evaluation.policies}
    rows = [
        (
            Cell(platform),
            *(
                Cell(metric(key, value(result.platform[platform], key)), "num own" if name == "policy" else "num")
                for key in COMPARED
                for name, result in policies.items()
            ),
        )
        for platform in evaluation.platforms
    ]
    return Table(
        f"Per platform. {formula('roi', 'cpa', 'utilisation')}. CPA in {evaluation.currency}.",
        ("", *(result.label for _ in COMPARED for result in policies.values())),
        tuple(rows),
        tuple((METRIC[key].label, len(policies)) for key in COMPARED),
    )


def by_metric(evaluation: Evaluation) -> list[tuple[str, str, Table]]:
    """(name, definition, table) per metric: platforms down, every policy across, the best competitor marked."""
    policies = ordered(evaluation)
    head = ("", *(result.label for result in policies.values()))
    tables = []
    for one in METRIC.values():
        rows = [
            _row(one, platform, {name: result.platform[platform] for name, result in policies.items()}, policies)
            for platform in evaluation.platforms
        ]
        if one.key != "share":  # of all platforms together it is 1
            rows.append(_row(one, "all", {name: result.total for name, result in policies.items()}, policies))
        unit = f", {evaluation.currency}" if one.format == "money" else ""
        tables.append((one.label, one.definition + unit, Table("", head, tuple(rows))))
    return tables


def value(figures: Figures, key: str) -> float | None:
    """A metric as judged, else from the sums."""
    known = getattr(figures, key, None)
    return finite(METRIC[key].of({name: getattr(figures, name) for name in AMOUNTS}) if known is None else known)


def _row(
    one: Metric, label: str, figures: Mapping[str, Figures], policies: Mapping[str, PlayerResult]
) -> tuple[Cell, ...]:
    values = {name: value(each, one.key) for name, each in figures.items()}
    rivals = {name: known for name, known in values.items() if not policies[name].clairvoyant and known is not None}
    best = None if one.direction == "none" or not rivals else (max if one.direction == "more" else min)(rivals.values())
    cells = []
    for name, known in values.items():
        kinds = ["num"]
        if name == "policy":
            kinds.append("own")
        if best is not None and rivals.get(name) == best:
            kinds.append("best")
        cells.append(Cell(metric(one.key, known), " ".join(kinds)))
    return Cell(label, "sum" if label == "all" else ""), *cells


def _body(inputs: ReportInputs) -> Markup:
    evaluation = inputs.evaluation
    if evaluation is None:
        return absent("No evaluation is there.")
    return markup("platforms.html.j2", comparison=comparison(evaluation), metrics=by_metric(evaluation))


PLATFORMS = SECTIONS.register(
    Section(name="platforms", order=70, title="Platform by platform", link="Platforms", body=_body)
)
