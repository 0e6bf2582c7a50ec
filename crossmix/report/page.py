"""report.html: one self-contained page about a run, from the JSON that its steps left.

A part that is not there yet (no registry after failed gates, no training) is told as such; nothing is fetched from
anywhere and no script runs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from crossmix.pages import charts as figures
from crossmix.pages import format as formats
from crossmix.pages.format import finite
from crossmix.registered import PACKAGES, declared
from crossmix.report import tables
from crossmix.schema import SPLITS, Provenance

if TYPE_CHECKING:
    from jinja2 import Template
    from matplotlib.figure import Figure

Json = Mapping[str, Any]

# Step -> names under which a caller may hand its folder over.
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

AGENTS = PACKAGES["train.agent"]
"""Package whose files declare what `train.agent` names."""


@dataclass(frozen=True, slots=True)
class ReportInputs:
    """What a run left, as plain data; each part may be absent."""

    meta: Json | None = None
    ingest: Json | None = None
    fusion: Json | None = None
    market: Json | None = None
    curve: Json | None = None
    align: Json | None = None
    meta_training: Json | None = None
    evaluation: Json | None = None
    gates: Json | None = None
    registration: Json | None = None
    summary: Json | None = None
    versions: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def collect(cls, steps: Mapping[str, Path], summary: Json | None = None) -> ReportInputs:
        """Read the steps' folders, by step name or by the name of the folder's kind; absent files are absent parts."""

        def read(step: str, file: str) -> Json | None:
            for name in FOLDERS[step]:
                path = steps[name] / file if name in steps else None
                if path is not None and path.is_file():
                    return dict(json.loads(path.read_text()))
            return None

        return cls(
            meta=read("ingest", "meta.json"),
            ingest=read("ingest", "report.json"),
            fusion=read("fusion", "report.json"),
            market=read("market", "report.json"),
            curve=read("train", "curve.json"),
            align=read("align", "align.json"),
            meta_training=read("meta", "meta.json"),
            evaluation=read("gate", "evaluation.json"),
            gates=read("gate", "gates.json"),
            registration=read("register", "registration.json"),
            summary=summary or None,
            versions=_versions(),
        )

    @property
    def generated(self) -> bool:
        """Whether the log comes from our own generator."""
        return bool((self.evaluation or self.meta or {}).get("generated"))

    @property
    def currency(self) -> str:
        """Unit of money, for labels."""
        return str((self.evaluation or {}).get("currency") or (self.meta or {}).get("currency") or "currency")


def render(inputs: ReportInputs, path: Path | None = None) -> str:
    """The page; also written to `path` if given."""
    page = _template().render(
        generated=inputs.generated,
        currency=inputs.currency,
        verdict=_verdict(inputs),
        keys=_keys(inputs),
        data=_data(inputs),
        fit=_fit(inputs),
        training=_training(inputs),
        result=_result(inputs),
        allocation=_allocation(inputs),
        marginals=_marginals(inputs),
        fidelity=_fidelity(inputs),
        gates=_gates(inputs),
        registry=(inputs.summary or {}).get("registry") or inputs.registration,
        registry_note=(inputs.registration or {}).get("note", ""),
        bundle=(inputs.summary or {}).get("bundle"),
        run_id=(inputs.summary or {}).get("run_id"),
        source=(inputs.meta or {}).get("source") or (inputs.summary or {}).get("source"),
        seconds=(inputs.summary or {}).get("seconds") or {},
        versions=inputs.versions,
        campaign=((inputs.evaluation or inputs.meta or {}).get("campaigns") or ["CAMPAIGN"])[0],
        t=tables,
    )
    if path is not None:
        path.write_text(page, encoding="utf-8")
    return page


def judged_figures(evaluation: Json) -> dict[str, Figure]:
    """The figures of an evaluation by file name, for MLflow."""
    made = {"oracle_ratio.svg": figures.forest(_forest_rows(evaluation), 1.0)}
    trajectory = evaluation.get("trajectory")
    if trajectory and evaluation.get("platforms"):
        made["simplex.svg"] = figures.simplex(trajectory["policy"], trajectory["oracle"], evaluation["platforms"])[0]
        made["shares_policy.svg"] = figures.shares(trajectory["policy"])
        made["shares_oracle.svg"] = figures.shares(trajectory["oracle"])
    return made


def _verdict(inputs: ReportInputs) -> dict[str, Any]:
    """Headline, its colour, and a line per failed required gate."""
    policy = _policy(inputs)
    ratio = finite((policy.get("oracle_ratio") or {}).get("mean"))
    gap = finite((policy.get("gap_closed") or {}).get("mean"))
    earned = "" if ratio is None else f"The policy earns {formats.percent(ratio)} of what a clairvoyant oracle would"
    closed = "" if gap is None else f" and closes {formats.percent(gap, 2)} of the gap from an even split to it"
    quality = f"{earned}{closed}." if earned else "No policy was judged."
    if inputs.gates is None:
        return {"kind": "none", "word": "Not judged", "line": quality, "failures": []}
    failures = [gate for gate in inputs.gates["gates"] if gate["required"] and gate["verdict"] == "fail"]
    lines = [
        f"{gate['name']}: {formats.number(gate.get('value'))}, threshold {gate['threshold']}"
        + (f" ({gate['detail']})" if gate.get("detail") else "")
        for gate in failures
    ]
    if inputs.gates["passed"]:
        return {"kind": "pass", "word": "Gates passed", "line": quality, "failures": []}
    unknown = [
        gate["name"]
        for gate in inputs.gates["gates"]
        if gate["required"] and gate["verdict"] not in {"pass", "not applicable"}
    ]
    word = f"{len(failures) or len(unknown)} required gate{'s' if len(failures or unknown) > 1 else ''} did not pass"
    return {"kind": "fail", "word": word, "line": f"{quality} Nothing was registered.", "failures": lines or unknown}


def _keys(inputs: ReportInputs) -> list[dict[str, str]]:
    """The figures to remember, each with interval and meaning."""
    if not inputs.evaluation:
        return []
    policy = _policy(inputs)
    control = inputs.evaluation["policies"].get("control", {})
    rows = (
        (
            "Oracle ratio",
            policy.get("oracle_ratio"),
            "ratio",
            "revenue over the clairvoyant oracle’s, judged auction by auction",
        ),
        ("Gap closed", policy.get("gap_closed"), "percent", "of the way from the uniform split to the oracle"),
        (
            "Ahead of control",
            control.get("difference"),
            "points",
            "points of the oracle’s revenue more than the historical split",
        ),
        ("ROI", policy.get("roi"), "number", "revenue / planned budget"),
        ("Utilisation", policy.get("utilisation"), "percent", "spend / planned budget"),
    )
    keys = []
    for title, row, style, meaning in rows:
        mean, interval = formats.estimate(row, style)
        keys.append({"title": title, "mean": mean, "interval": interval, "meaning": meaning})
    return keys


def _data(inputs: ReportInputs) -> dict[str, Any] | None:
    report, meta = inputs.ingest, inputs.meta or {}
    if report is None:
        return None
    platforms = [str(row["platform"]) for row in report.get("by_platform", [])] or list(meta.get("platforms", []))
    days = [_day(row) for row in report.get("by_day", [])]
    rows = report.get("rows", {})
    provenance = report.get("provenance") or meta.get("provenance") or {}
    tags = sorted({str(tag) for tag in provenance.values()}, key=[str(tag) for tag in Provenance].index)
    notes = [*meta.get("notes", ()), *report.get("notes", ())]
    notes += [*(inputs.fusion or {}).get("notes", ()), *(inputs.market or {}).get("notes", ())]
    return {
        "rows": rows,
        "quarantined": rows.get("quarantined") or {},
        "others": {
            key: value
            for key, value in rows.items()
            if key not in ("ingested", "quarantined") and finite(value) is not None
        },
        "traffic": tables.traffic(report["by_platform"], inputs.currency) if report.get("by_platform") else None,
        "splits": tables.splits({name: report["splits"][name] for name in SPLITS if name in report["splits"]})
        if report.get("splits")
        else None,
        "spend": figures.svg(figures.spend(days, platforms, inputs.currency), "spend") if days else None,
        "legend": _legend(platforms),
        "provenance": {tag: [name for name, value in provenance.items() if value == tag] for tag in tags},
        "notes": list(dict.fromkeys(notes)),
        "cycle_hours": meta.get("cycle_hours"),
        "cycles": meta.get("cycles"),
        "start": str(meta.get("start", ""))[:10],
    }


def _day(row: Json) -> dict[str, Any]:
    """A row of `by_day` as {"label", platform: spend}; the platforms may lie in `spend` or beside the date."""
    label = row.get("date", row.get("cycle", ""))
    amounts = (
        row["spend"]
        if isinstance(row.get("spend"), Mapping)
        else {k: v for k, v in row.items() if k not in ("date", "cycle")}
    )
    return {**amounts, "label": str(label)}


def _fit(inputs: ReportInputs) -> dict[str, Any] | None:
    fusion, market = inputs.fusion, inputs.market
    if fusion is None and market is None:
        return None
    heads = [(name, fusion[name]) for name in ("click", "conversion") if fusion and fusion.get(name)] if fusion else []
    curves = {name: head["roc"] for name, head in heads if head.get("roc")}
    bins = {name: head["reliability"] for name, head in heads if head.get("reliability")}
    encoders = (fusion or {}).get("encoders", {})
    by_campaign: dict[str, list[Json]] = {}
    for row in (market or {}).get("platforms", []):
        by_campaign.setdefault(str(row.get("campaign", "")), []).append(row)
    return {
        "encoders": {name: encoders[name] for name in ("image", "text", "behaviour") if name in encoders},
        "heads": heads,
        "eventless": fusion is not None and not heads,
        "quality": tables.heads(heads),
        "rows": (fusion or {}).get("rows", {}),
        "attention": (fusion or {}).get("attention") or {},
        "roc": figures.svg(figures.roc(curves), "ROC") if curves else None,
        "reliability": figures.svg(figures.reliability(bins), "reliability") if bins else None,
        "markets": [(name, tables.market(rows, inputs.currency)) for name, rows in by_campaign.items()],
    }


def _training(inputs: ReportInputs) -> dict[str, Any] | None:
    curve = inputs.curve
    if not curve or not curve.get("points"):
        return None
    figure = figures.learning(curve["points"], finite(curve.get("uniform_ratio")), curve.get("best"))
    best = curve.get("best") or {}
    ratio = finite(best.get("validation_ratio"))
    first = curve["points"][0]
    start = finite(first.get("validation_ratio")) if first.get("phase") == "pathwise" and first["update"] == 0 else None
    kept = (
        None
        if ratio is None
        else {"ratio": f"{ratio:.3f}", "what": _what(best.get("phase", "?"), best.get("update", "?"))}
    )
    platforms = curve.get("platforms") or []
    splits = [point["share"] for point in curve["points"] if point.get("share")]
    return {
        "figure": figures.svg(figure, "learning curve"),
        "kept": kept,
        "start": None if start is None else f"{start:.4f}",
        "stopped": curve.get("stopped"),
        "agent": _agent(curve.get("agent")),
        "ranks": curve.get("ranks"),
        "losses": _losses(curve["points"]),
        "splits": figures.svg(figures.shares(splits, "validation"), "split while training") if splits else None,
        "legend": _legend(platforms),
        "align": _alignment(inputs.align),
        "meta": _meta_training(inputs.meta_training),
    }


def _what(phase: str, update: Any) -> str:
    """Which policy was kept, in words."""
    known = declared(AGENTS).get(phase)
    if known is not None and known.literals.get("start") == "base":
        return f"by the fitted market’s plan, solved each cycle (agent {phase}; nothing was trained)"
    if update == 0:
        return "by the fitted market’s plan, which no update of training bettered"
    return f"in phase {phase}, update {update}"


def _agent(name: Any) -> str | None:
    """The agent's label and name; one that is not here any more has its name alone."""
    if not name:
        return None
    known = declared(AGENTS).get(str(name))
    return str(name) if known is None else f"{known.literals['label']} ({name})"


def _curves() -> dict[str, str]:
    """Figures of a round that are drawn, with their titles: each agent declares its own."""
    return {
        key: title for agent in declared(AGENTS).values() for key, title in agent.literals.get("curves", {}).items()
    }


def _losses(points: Sequence[Json]) -> str | None:
    rows = []
    for key, title in _curves().items():
        known = [(point["update"], point[key]) for point in points if finite(point.get(key)) is not None]
        if known:
            x, y = zip(*known, strict=True)
            rows.append((title, x, y))
    return figures.svg(figures.losses(rows, "round"), "losses") if rows else None


def _alignment(told: Json | None) -> dict[str, Any] | None:
    """The paper's Fig. 3b, and what alignment found."""
    if not told or told.get("target") == "off":
        return None
    if "too_few" in told:
        return {"too_few": told["too_few"], "enough": told["enough"], "figure": None}
    every = int(told.get("every", 1))
    names = {
        "discriminator_loss": "discriminator loss",
        "generator_loss": "generator loss (eq. 5)",
        "accuracy_held_out": "discriminator's accuracy on held-out transitions",
    }
    rows = [
        (title, [every * (k + 1) for k in range(len(told[key]))], told[key])
        for key, title in names.items()
        if told.get(key)
    ]
    moved = [
        (
            platform,
            {"level": "price", "ctr": "click rate", "cvr": "conversion rate"}.get(quantity, quantity),
            f"{factor:.2f}",
        )
        for platform, factors in (told.get("multipliers") or {}).items()
        for quantity, factor in factors.items()
        if factor != 1
    ]
    return {
        "too_few": None,
        "target": told["target"],
        "figure": figures.svg(figures.losses(rows, "update"), "adversarial losses") if rows else None,
        "moved": moved,
        "kept": told["kept"],
        "before": f"{told['validation_trained']:.4f}",
        "after": f"{told['validation_aligned']:.4f}",
    }


def _meta_training(told: Json | None) -> dict[str, Any] | None:
    if not told or not told.get("points"):
        return None
    points = told["points"]
    x = [point["iteration"] for point in points]
    rows = [
        ("before adaptation", x, [point["unadapted"] for point in points]),
        ("after its inner steps", x, [point["adapted"] for point in points]),
    ]
    return {
        "figure": figures.svg(figures.losses(rows, "iteration"), "meta-training"),
        "first": f"{points[0]['adapted']:.4f}",
        "last": f"{points[-1]['adapted']:.4f}",
        "iterations": told["iterations"],
    }


def _result(inputs: ReportInputs) -> dict[str, Any] | None:
    evaluation = inputs.evaluation
    if not evaluation:
        return None
    return {
        "forest": figures.svg(figures.forest(_forest_rows(evaluation), 1.0), "oracle ratio by competitor"),
        "totals": tables.totals(evaluation),
        "comparison": tables.comparison(evaluation),
        "metrics": tables.by_metric(evaluation),
        "seeds": finite(evaluation.get("market_seeds")),
        "cycles": finite(evaluation.get("cycles")),
    }


def _allocation(inputs: ReportInputs) -> dict[str, Any] | None:
    evaluation = inputs.evaluation
    trajectory = (evaluation or {}).get("trajectory")
    if not evaluation or not trajectory or not evaluation.get("platforms"):
        return None
    platforms = evaluation["platforms"]
    triangle, top = figures.simplex(trajectory["policy"], trajectory["oracle"], platforms)
    policy, oracle = np.asarray(trajectory["policy"], float), np.asarray(trajectory["oracle"], float)
    return {
        "simplex": figures.svg(triangle, "allocation on the simplex"),
        "top": top,
        "covered": formats.percent(float(policy[:, [platforms.index(name) for name in top]].sum(1).mean()), 2),
        "policy": figures.svg(figures.shares(policy.tolist()), "shares of the policy"),
        "oracle": figures.svg(figures.shares(oracle.tolist()), "shares of the oracle"),
        "apart": formats.percent(float(np.abs(policy - oracle).sum(1).mean() / 2), 2),
        "campaign": trajectory.get("campaign", ""),
        "seed": trajectory.get("seed", ""),
        "legend": _legend(platforms),
    }


def _marginals(inputs: ReportInputs) -> dict[str, Any] | None:
    curves = (inputs.evaluation or {}).get("marginal_roi")
    if not curves:
        return None
    at: dict[str, dict[str, float]] = {"policy": {}, "oracle": {}}
    for name, curve in curves.items():
        for who, found in at.items():
            share = finite(curve.get(f"at_{who}"))
            if share is not None:
                found[name] = float(np.interp(share, curve["share"], curve["marginal"]))
    seen = sorted([*at["policy"].values(), *at["oracle"].values()])
    common = float(np.median(list(at["oracle"].values()))) if at["oracle"] else None
    # One far outlier must not flatten the rest: the scale follows the bulk, and points beyond it sit at the top.
    top = 1.25 * (min(seen[-1], 2.5 * seen[len(seen) // 2]) if seen else 1.0) or 1.0
    placed = [finite(curve.get(f"at_{who}")) or 0.0 for curve in curves.values() for who in at]
    right = min(max(float(curve["share"][-1]) for curve in curves.values()), max(2 * max(placed), 0.02))
    panels: list[dict[str, str]] = []
    for name, curve in curves.items():
        figure = figures.marginal(
            curve["share"],
            curve["marginal"],
            finite(curve.get("at_policy")),
            finite(curve.get("at_oracle")),
            (right, top),
            common,
        )
        panels.append(
            {
                "platform": name,
                "figure": figures.svg(figure, f"marginal ROI of {len(panels)}"),
                "policy": formats.percent(curve.get("at_policy")),
                "oracle": formats.percent(curve.get("at_oracle")),
                "roi": formats.number(at["policy"].get(name)),
            }
        )
    return {"panels": panels, "common": formats.number(common)}


def _fidelity(inputs: ReportInputs) -> dict[str, Any] | None:
    """The market against held-out users, and the test period against the training period."""
    evaluation = inputs.evaluation or {}
    fidelity, shift, bounds = (evaluation.get(name) for name in ("fidelity", "shift", "bounds"))
    if not fidelity or not shift or not bounds:
        return None
    judged = tables.compared(
        fidelity,
        bounds,
        "The market less the held-out log over the log; KL(log || market); and the area under the ROC curve (AUC) of "
        "the better of two classifiers that try to tell the log’s cycles from the market’s. Small: 95 % interval; "
        "noise: what 99 of 100 divergences between two samples of one law stay below, at this many values. "
        f"Bold: beyond ±{bounds['deviation']:.0%}, KL {bounds['divergence']:g} or AUC {bounds['auc']:.3f}.",
    )
    moved = tables.compared(
        shift,
        None,
        "The log’s test period less its training period over the latter (spend per cycle); KL(test || training); and "
        "how well a classifier tells in which period a cycle lies. Drift alone does that: it is the world’s doing, not "
        "the market model’s, and no gate reads it.",
    )
    figure = figures.deviations(fidelity["deviations"], bounds["deviation"])
    return {"table": judged, "figure": figures.svg(figure, "deviation of the market"), "shift": moved}


def _gates(inputs: ReportInputs) -> dict[str, Any] | None:
    """The required gates, and the others with a count of their verdicts."""
    if not inputs.gates:
        return None
    rows = inputs.gates["gates"]
    others = [row for row in rows if not row.get("required")]
    verdicts = [str(row["verdict"]) for row in others]
    return {
        "required": tables.gates(row for row in rows if row.get("required")),
        "others": tables.gates(others),
        "counts": {verdict: verdicts.count(verdict) for verdict in dict.fromkeys(verdicts)},
    }


def _forest_rows(evaluation: Json) -> list[tuple[str, float, float, float, str]]:
    policies = evaluation["policies"]
    rows = []
    for name, row in policies.items():
        ratio = row.get("oracle_ratio") or {}
        mean = finite(ratio.get("mean"))
        if mean is None:
            continue
        low, high = (finite(edge) for edge in (ratio.get("ci95") or [None, None])[:2])
        kind = "policy" if name == "policy" else "oracle" if row.get("clairvoyant") else "other"
        rows.append(
            (formats.label(policies, name), mean, mean if low is None else low, mean if high is None else high, kind)
        )
    return sorted(rows, key=lambda row: -row[1])


def _policy(inputs: ReportInputs) -> Json:
    found: Json = ((inputs.evaluation or {}).get("policies") or {}).get("policy") or {}
    return found


def _legend(platforms: Sequence[str]) -> list[tuple[str, str]]:
    colours = figures.PLATFORM_COLOURS
    return [(name, colours[index % len(colours)]) for index, name in enumerate(platforms)]


def _versions() -> dict[str, str]:
    import platform
    from importlib.metadata import PackageNotFoundError, version

    found = {"python": platform.python_version()}
    for name in VERSIONS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


@cache
def _template() -> Template:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # Figures are our own markup: matplotlib has escaped the names in them.
    environment.filters["figure"] = Markup
    return environment.get_template("report.html.j2")
