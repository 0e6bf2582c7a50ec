"""The market fitted from the log: every parameter with its standard error, campaign by campaign."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crossmix.artifacts import Estimate, MarketCell
from crossmix.metrics import title
from crossmix.pages.format import count, number, percent
from crossmix.pages.table import NOTHING, Cell, Table
from crossmix.report.section import SECTIONS, Section, absent, markup

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from markupsafe import Markup

    from crossmix.report.inputs import ReportInputs

PARAMETERS: tuple[tuple[str, str, Callable[..., str]], ...] = (
    ("requests", "requests per cycle", count),
    ("mean_price", "mean price", number),
    ("ctr", title("ctr"), percent),
    ("cvr", title("cvr"), percent),
    ("value", "value per conversion", number),
    ("saturation", "saturation κ", number),
    ("ctr_drift", "CTR drift", number),
    ("cvr_drift", "CVR drift", number),
    ("price_drift", "price drift", number),
)
"""Key, heading and form, of those shown."""
ASSUMED = {"approximated", "imputed", "missing"}
"""Provenances that rest on an assumption, not on the log."""


def table(cells: Sequence[MarketCell], currency: str) -> Table:
    """A row per platform."""
    rows, starred = [], False
    for cell in cells:
        estimates = cell.parameters | {"mean_price": cell.mean_price}
        starred = starred or any(estimates[key].provenance in ASSUMED for key, *_ in PARAMETERS if key in estimates)
        rows.append((Cell(cell.platform), *(_cell(estimates.get(key), form) for key, _, form in PARAMETERS)))
    star = " * rests on an assumption, not on the log." if starred else ""
    return Table(
        f"Fitted parameters, ± one standard error. Prices and values in {currency}; drift is the stationary deviation "
        f"of the logarithm.{star}",
        ("", *(heading for _, heading, _ in PARAMETERS)),
        tuple(rows),
    )


def _cell(estimate: Estimate | None, form: Callable[..., str]) -> Cell:
    if estimate is None:
        return NOTHING
    digits: dict[str, Any] = {} if form is count else {"digits": 2}
    error = "" if estimate.se is None else f"± {form(estimate.se, **digits)}"
    return Cell(form(estimate.value) + ("*" if estimate.provenance in ASSUMED else ""), "num", error)


def _body(inputs: ReportInputs) -> Markup:
    if inputs.market is None:
        return absent("No market report is there: the market step has not run.")
    by_campaign: dict[str, list[MarketCell]] = {}
    for cell in inputs.market.platforms:
        by_campaign.setdefault(cell.campaign, []).append(cell)
    over = {} if inputs.decision is None else {one.campaign: one.ended for one in inputs.decision.campaigns}
    tables = [
        (name, over.get(name), table(by_campaign[name], inputs.currency))
        for name in sorted(by_campaign, key=lambda name: over.get(name) is not None)
    ]
    return markup("market.html.j2", markets=tables, late=inputs.market.late, of_totals=inputs.of_totals)


MARKET = SECTIONS.register(
    Section(name="market", order=35, title="The market fitted from the log", link="Market", body=_body)
)
