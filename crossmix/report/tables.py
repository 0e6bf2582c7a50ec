"""The report's tables as plain data, and how its numbers are written: an undefined one is an en dash."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from crossmix.pages.format import (
    DASH,
    METRICS,
    PERCENT,
    Cell,
    Table,
    _pair,
    _ratio,
    _signed_percent,
    count,
    estimate,
    finite,
    label,
    number,
    percent,
    write,
)

OWN_ORDER = ("policy", "oracle", "plug_in", "windowed_roi", "rule", "control", "static", "uniform")


MARKET = (
    ("requests", "requests per cycle"),
    ("win_rate", "win rate"),
    ("mean_price", "mean price"),
    ("ctr", "CTR"),
    ("cvr", "CVR"),
    ("value", "value per conversion"),
    ("saturation", "saturation κ"),
    ("ctr_drift", "CTR drift"),
    ("cvr_drift", "CVR drift"),
    ("response_drift", "response drift"),
    ("price_drift", "price drift"),
)


def ordered(policies: Mapping[str, Any]) -> list[str]:
    """The policy, the oracle, then competitors in a fixed order, then any other."""
    known = [name for name in OWN_ORDER if name in policies]
    return known + [name for name in policies if name not in OWN_ORDER]


def total(row: Mapping[str, Any], key: str) -> float | None:
    """A metric over all platforms: as judged, else from the platforms' sums."""
    judged = finite((row.get("total") or {}).get(key))
    if judged is not None:
        return judged
    sums = {
        field: sum(finite(platform.get(field)) or 0.0 for platform in row.get("platform", {}).values())
        for field in ("spend", "revenue", "planned", "impressions", "clicks", "conversions")
    }
    top, bottom = {
        "roi": ("revenue", "planned"),
        "roas": ("revenue", "spend"),
        "cpa": ("spend", "conversions"),
        "ctr": ("clicks", "impressions"),
        "cvr": ("conversions", "clicks"),
        "utilisation": ("spend", "planned"),
    }.get(key, ("", ""))
    return sums[top] / sums[bottom] if top and sums[bottom] else None


def totals(evaluation: Mapping[str, Any]) -> Table:
    """A row per policy: quality with intervals, then the money words over all platforms."""
    policies = evaluation["policies"]
    rows = []
    for name in ordered(policies):
        row = policies[name]
        own = "own" if name == "policy" else ""
        quality = [
            _pair(row.get("oracle_ratio"), "ratio"),
            _pair(row.get("gap_closed"), "percent"),
            _pair(row.get("difference"), "points") if name != "policy" else Cell(DASH, "num muted"),
        ]
        money = []
        for key, *_ in METRICS[:6]:
            mean, interval = estimate(row.get(key), "percent" if key in PERCENT else "number")
            money.append(Cell(write(key, total(row, key)) if mean == DASH else mean, "num", interval))
        clairvoyant = "knows the market" if row.get("clairvoyant") else ""
        rows.append((Cell(label(policies, name), own, clairvoyant), *quality, *money))
    currency = evaluation.get("currency", "")
    return Table(
        "All platforms together. Small figures are 95 % intervals. “Policy ahead by” is the policy’s oracle ratio "
        "less this one’s, in points. ROI is revenue / planned budget, ROAS revenue / spend, CPA spend / conversion, "
        f"{currency}.",
        ("", "Oracle ratio", "Gap closed", "Policy ahead by", *(name for _, name, *_ in METRICS[:6])),
        tuple(rows),
    )


def comparison(evaluation: Mapping[str, Any], names: Sequence[str] = ("policy", "control", "oracle")) -> Table:
    """A row per platform: what the policy gives and gets beside control and oracle."""
    policies = {name: evaluation["policies"][name] for name in names if name in evaluation["policies"]}
    keys = [metric for metric in METRICS if metric[0] in ("share", "roi", "cpa", "utilisation")]
    keys.sort(key=lambda metric: ("share", "roi", "cpa", "utilisation").index(metric[0]))
    rows = []
    for platform in evaluation.get("platforms", ()):
        cells = [Cell(platform)]
        for key, *_ in keys:
            for name, row in policies.items():
                value = row.get("platform", {}).get(platform, {}).get(key)
                cells.append(Cell(write(key, value), "num own" if name == "policy" else "num"))
        rows.append(tuple(cells))
    return Table(
        "Per platform. ROI is revenue / planned budget; CPA is spend / conversion, "
        f"{evaluation.get('currency', '')}; utilisation is spend / planned budget.",
        ("", *(label(policies, name) for _ in keys for name in policies)),
        tuple(rows),
        tuple((title, len(policies)) for _, title, *_ in keys),
    )


def by_metric(evaluation: Mapping[str, Any]) -> list[tuple[str, str, Table]]:
    """(name, definition, table) per metric: platforms down, every policy across, the best competitor marked."""
    policies = evaluation["policies"]
    names = ordered(policies)
    tables = []
    for key, title, definition, more_is_better in METRICS:
        rows = []
        for platform in [*evaluation.get("platforms", ()), "all"]:
            values = {
                name: total(policies[name], key)
                if platform == "all"
                else finite(policies[name].get("platform", {}).get(platform, {}).get(key))
                for name in names
            }
            if platform == "all" and all(value is None for value in values.values()):
                continue
            best = _best({n: v for n, v in values.items() if not policies[n].get("clairvoyant")}, more_is_better)
            rows.append(
                (
                    Cell(platform, "sum" if platform == "all" else ""),
                    *(
                        Cell(
                            write(key, value),
                            " ".join(
                                ["num", *(["own"] if name == "policy" else []), *(["best"] if name in best else [])]
                            ),
                        )
                        for name, value in values.items()
                    ),
                )
            )
        unit = f"{definition}, {evaluation.get('currency', '')}" if key == "cpa" else definition
        tables.append((title, unit, Table("", ("", *(label(policies, name) for name in names)), tuple(rows))))
    return tables


def market(rows: Iterable[Mapping[str, Any]], currency: str) -> Table:
    """A row per platform: each fitted parameter with its standard error."""
    listed = list(rows)
    keys = [(key, title) for key, title in MARKET if any(key in row for row in listed)]
    body = []
    for row in listed:
        cells = [Cell(str(row["platform"]))]
        for key, _ in keys:
            parameter = row.get(key)
            value = parameter.get("value") if isinstance(parameter, Mapping) else parameter
            se = finite(parameter.get("se")) if isinstance(parameter, Mapping) else None
            tag = parameter.get("provenance") if isinstance(parameter, Mapping) else None
            assumed = tag in ("approximated", "imputed", "missing")
            text = count(value) if key == "requests" else write(key, value)
            small = "" if se is None else f"± {count(se) if key == 'requests' else write(key, se, 2)}"
            cells.append(Cell(text + ("*" if assumed else ""), "num", small))
        body.append(tuple(cells))
    starred = any(cell.text.endswith("*") for cells in body for cell in cells)
    star = " * rests on an assumption, not on the log." if starred else ""
    return Table(
        f"Fitted parameters, ± one standard error. Prices and values in {currency}; drift is the stationary deviation "
        f"of the logarithm.{star}",
        ("", *(title for _, title in keys)),
        tuple(body),
    )


def heads(rows: Sequence[tuple[str, Mapping[str, Any]]]) -> Table:
    """How well each head predicts."""
    return Table(
        "Judged on held-out users. AUC: chance that an event scores above a non-event. ECE: expected calibration error "
        "of the probability. Log loss in nats; below that of the base rate is information.",
        ("", "AUC", "ECE", "Log loss", "Base rate’s", "Rows", "Events"),
        tuple(
            (
                Cell(name),
                Cell(number(head.get("auc")), "num"),
                Cell(percent(head.get("ece"), 2), "num"),
                Cell(number(head.get("log_loss")), "num"),
                Cell(number(head.get("base_log_loss")), "num"),
                Cell(count(head.get("rows")), "num"),
                Cell(count(head.get("positives")), "num"),
            )
            for name, head in rows
        ),
    )


def traffic(rows: Iterable[Mapping[str, Any]], currency: str) -> Table:
    """The log by platform."""
    keys = (
        ("impressions", "Impressions"),
        ("clicks", "Clicks"),
        ("conversions", "Conversions"),
        ("spend", "Spend"),
        ("revenue", "Revenue"),
        ("ctr", "CTR"),
        ("cvr", "CVR"),
        ("cpa", "CPA"),
        ("roas", "ROAS"),
    )
    counted = {"impressions", "clicks", "conversions"}
    return Table(
        f"The cleaned log by platform. Spend, revenue and CPA in {currency}; ROAS is revenue / spend.",
        ("", *(title for _, title in keys)),
        tuple(
            (
                Cell(str(row["platform"])),
                *(Cell(count(row.get(key)) if key in counted else write(key, row.get(key)), "num") for key, _ in keys),
            )
            for row in rows
        ),
    )


def splits(rows: Mapping[str, Mapping[str, Any]]) -> Table:
    """Rows, users and period of each split."""
    return Table(
        "Split by time; in each period some users are held out of every fit.",
        ("", "Impressions", "Users", "From", "To"),
        tuple(
            (
                Cell(name),
                Cell(count(row.get("impressions")), "num"),
                Cell(count(row.get("users")), "num"),
                Cell(str(row.get("from") or DASH)[:16].replace("T", " ")),
                Cell(str(row.get("to") or DASH)[:16].replace("T", " ")),
            )
            for name, row in rows.items()
        ),
    )


def gates(rows: Iterable[Mapping[str, Any]]) -> Table:
    """The gate table; the verdict's cell kind names its chip."""
    return Table(
        "",
        ("Gate", "Verdict", "Value", "Threshold", "Detail"),
        tuple(
            (
                Cell(str(row["name"]), "mono"),
                Cell(str(row["verdict"]), "chip " + str(row["verdict"]).replace(" ", "-")),
                Cell(number(row.get("value")), "num"),
                Cell(str(row.get("threshold", "")), "wrap"),
                Cell(str(row.get("detail") or ""), "prose"),
            )
            for row in rows
        ),
    )


COMPARED = (
    ("click_probability", "click probability"),
    ("price", "price"),
    ("change.ctr", "CTR step"),
    ("change.cvr", "CVR step"),
    ("change.roi", "ROI step"),
    ("change.spend", "spend step"),
)
"""Divergences in the report's order."""


def compared(comparison: Mapping[str, Any], bounds: Mapping[str, float] | None, caption: str) -> Table:
    """Deviations, KL divergences and the classifier's AUC, a row per platform; beyond a bound in bold.

    `bounds`: deviation, divergence, auc; `None` where no gate judges.
    """
    deviations, divergences = comparison["deviations"], comparison["divergences"]
    metrics = list(next(iter(deviations.values())))
    quantities = [item for item in COMPARED if any(item[0] in row for row in divergences.values())]
    limits = bounds or {"deviation": math.inf, "divergence": math.inf, "auc": math.inf}

    def cell(row: Mapping[str, Any] | None, value: str, limit: float, text: Callable[[Any], str], small: str) -> Cell:
        found = finite((row or {}).get(value))
        beyond = found is not None and abs(found) > limit
        return Cell(text(found), "num sum" if beyond else "num", small if found is not None else "")

    rows = []
    for group, row in deviations.items():
        cells = [Cell("all" if group == "total" else group, "sum" if group == "total" else "")]
        for metric in metrics:
            item = row.get(metric)
            low, high = (_signed_percent((item or {}).get(end)) for end in ("low", "high"))
            cells.append(cell(item, "value", limits["deviation"], _signed_percent, f"{low} to {high}"))
        for quantity, _ in quantities:
            found = divergences.get(group, {}).get(quantity)
            noise = f"noise {number((found or {}).get('noise'), 2)}"
            cells.append(cell(found, "value", limits["divergence"], lambda value: number(value, 2), noise))
        test = comparison.get("two_sample", {}).get(group)
        span = f"{_ratio((test or {}).get('low'))} to {_ratio((test or {}).get('high'))}"
        cells.append(cell(test, "auc", limits["auc"], _ratio, span))
        rows.append(tuple(cells))
    return Table(
        caption,
        (
            "",
            *(metric.upper() if len(metric) == 3 else metric.capitalize() for metric in metrics),
            *(title for _, title in quantities),
            "AUC",
        ),
        tuple(rows),
        (("Deviation", len(metrics)), ("KL divergence, nats", len(quantities)), ("Classifier", 1)),
    )


def _best(values: Mapping[str, float | None], more_is_better: bool | None) -> set[str]:
    known = {name: value for name, value in values.items() if value is not None}
    if more_is_better is None or not known:
        return set()
    edge = max(known.values()) if more_is_better else min(known.values())
    return {name for name, value in known.items() if value == edge}
