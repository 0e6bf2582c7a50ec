"""The data: how much of the log is used, where its columns come from, and its traffic and spend by platform."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crossmix.artifacts import IngestReport, PlatformRates
from crossmix.metrics import formula, title
from crossmix.pages.charts import Chart, platform_legend
from crossmix.pages.format import compact, count, metric, moment
from crossmix.pages.scales import Axis, Scale
from crossmix.pages.table import Cell, Table
from crossmix.report.section import SECTIONS, Section, absent, markup
from crossmix.schema import SPLITS, Provenance

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from markupsafe import Markup

    from crossmix.artifacts import DaySpend, Split
    from crossmix.report.inputs import ReportInputs

TRAFFIC = ("impressions", "clicks", "conversions", "spend", "revenue", "ctr", "cvr", "cpa", "roas")
DATES = 4
"""So many days are named below the chart."""


def spend(days: Sequence[DaySpend], platforms: Sequence[str]) -> Markup:
    """Stacked spend by platform."""
    last = len(days) - 1
    named = sorted({round(last * part / (DATES - 1)) for part in range(DATES)})
    y_PT = [[float(day.spend.get(name) or 0.0) for day in days] for name in platforms]
    top = max(sum(column) for column in zip(*y_PT, strict=True))
    chart = Chart("spend")
    across, ticks = Scale(-0.5, 0.5) if last == 0 else Scale(0, last), [(at, _day(days[at].date)) for at in named]
    panel = chart.panel(
        Axis(across, ticks=ticks, grid=False),
        Axis(Scale(0, 1.05 * top or 1.0), "spend", compact, grid=False),
    )
    panel.stack(range(last + 1), y_PT)
    return chart.svg()


def _day(date: str) -> str:
    """A tick: of an hour without its year, so that ticks stand apart."""
    return date[5:].replace("T", " ") if "T" in date else date


def traffic(rows: Iterable[PlatformRates], currency: str) -> Table:
    """The log by platform."""
    return Table(
        f"The cleaned log by platform. Spend, revenue and CPA in {currency}; {formula('roas')}.",
        ("", *(title(key) for key in TRAFFIC)),
        tuple((Cell(row.platform), *(Cell(metric(key, getattr(row, key)), "num") for key in TRAFFIC)) for row in rows),
    )


def splits(rows: Mapping[str, Split], *, of_totals: bool) -> Table:
    """Rows, users and period of each split; totals tell no users."""
    held_out = "of the training period some cycles" if of_totals else "in each period some users"
    return Table(
        f"Split by time; {held_out} are held out of every fit that is judged.",
        ("", "Impressions", *(() if of_totals else ("Users",)), "From", "To"),
        tuple(
            (
                Cell(name),
                Cell(count(row.impressions), "num"),
                *(() if of_totals else (Cell(count(row.users), "num"),)),
                Cell(moment(row.from_)),
                Cell(moment(row.to)),
            )
            for name, row in rows.items()
        ),
    )


def _facts(report: IngestReport) -> list[tuple[str, str]]:
    """What became of the rows, and which columns have which provenance."""
    rows = report.rows
    facts = [("Rows read", count(rows.read)), ("Rows ingested", count(rows.ingested))]
    if rows.users is not None:
        facts.append(("Users", count(rows.users)))
    facts.append(("Duplicates", count(rows.duplicates)))
    imputed = ", ".join(f"{count(number)} {_words(name)}" for name, number in rows.imputed.items() if number)
    if imputed:
        facts.append(("Imputed", imputed))
    money = rows.quarantined_spend or {}
    broken = ", ".join(
        f"{count(number)} {_words(code)}{f' ({money[code]:.2%} of the spend)' if code in money else ''}"
        for code, number in rows.quarantined.items()
    )
    facts.append(("Quarantined", f"{broken}; each with its reason in quarantine.parquet" if broken else "none"))
    for tag in Provenance:
        columns = [name for name, provenance in report.provenance.items() if provenance == tag]
        if columns:
            facts.append((tag.capitalize(), ", ".join(columns)))
    return facts


def _words(code: str) -> str:
    return code.replace("_", " ")


def _body(inputs: ReportInputs) -> Markup:
    report, meta = inputs.ingest, inputs.meta
    if report is None:
        return absent("No data report is there: the ingest step has not run.")
    parts: list[Any] = [part for part in (meta, report, inputs.fusion, inputs.market) if part is not None]
    platforms = [row.platform for row in report.by_platform]
    return markup(
        "data.html.j2",
        rows=report.rows,
        meta=meta,
        generated=inputs.generated,
        currency=inputs.currency,
        facts=_facts(report),
        notes=list(dict.fromkeys(note for part in parts for note in part.notes)),
        hourly=any("T" in day.date for day in report.by_day),
        spend=spend(report.by_day, platforms) if report.by_day and platforms else None,
        legend=platform_legend(platforms),
        traffic=traffic(report.by_platform, inputs.currency),
        splits=splits(
            {name: report.splits[name] for name in SPLITS if name in report.splits}, of_totals=inputs.of_totals
        ),
    )


DATA = SECTIONS.register(
    Section(name="data", order=20, title="The data", link="Data", body=_body, tasks=("split", "journeys"))
)
