"""Figures as functions of plain data: the report shows them inline, MLflow stores them as they are.

Each returns a matplotlib Figure of one size class, drawn for a phone's width; a wide page sets several side by side.
Colours: Tol's muted scheme for platforms and one blue against greys elsewhere, both safe for colour-blind readers;
dashes and markers say the same again. `svg` turns inks into the page's CSS variables, so that a figure follows
its light or dark theme.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MUTED, LINE, PAPER, ACCENT, WARM = "#1b1f24", "#68707b", "#dde1e6", "#fdfdfc", "#0b62a8", "#b4540a"
THEME = {INK: "--ink", MUTED: "--muted", LINE: "--line", PAPER: "--paper", ACCENT: "--accent", WARM: "--warm"}
PLATFORM_COLOURS = (
    "#4b3fa0",
    "#88ccee",
    "#44aa99",
    "#117733",
    "#ddcc77",
    "#cc6677",
    "#882255",
    "#aa4499",
    "#999933",
    "#b8bcc2",
)
TIME = ("#2f6fc0", "#8d8b97", "#e08a1e")
"""First to last cycle: readable on light and dark pages."""
WIDTH, HEIGHT = 4.6, 3.0
"""Inches; 9 points of type stay legible when this fills a phone."""


def spend(by_day: Sequence[Mapping[str, Any]], platforms: Sequence[str], currency: str) -> Figure:
    """Stacked spend by platform; `by_day`: {"label", platform: amount} in order."""
    with _figure() as (figure, axes):
        x = np.arange(len(by_day))
        y_PT = np.array([[float(row.get(name) or 0.0) for row in by_day] for name in platforms])
        _stack(axes, x, y_PT)
        ticks = np.unique(np.linspace(0, len(by_day) - 1, min(4, len(by_day))).astype(int))
        axes.set_xticks(ticks, [str(by_day[tick]["label"]) for tick in ticks])
        axes.set_ylabel(f"spend, {currency}")
    return figure


def roc(curves: Mapping[str, Mapping[str, Sequence[float]]]) -> Figure:
    """True against false positive rate; `curves`: head -> fpr, tpr."""
    with _figure(HEIGHT) as (figure, axes):
        axes.plot([0, 1], [0, 1], color=LINE, zorder=1)
        for (name, curve), (colour, dash) in zip(curves.items(), ((ACCENT, "-"), (WARM, "--")), strict=False):
            axes.plot(curve["fpr"], curve["tpr"], label=name, color=colour, ls=dash)
        axes.set(xlabel="false positive rate", ylabel="true positive rate", xlim=(0, 1), ylim=(0, 1), aspect="equal")
        axes.legend(loc="lower right")
    return figure


def reliability(curves: Mapping[str, Mapping[str, Sequence[float]]]) -> Figure:
    """Observed against predicted rate on logarithmic axes; `curves`: head -> predicted, observed, count."""
    with _figure(HEIGHT) as (figure, axes):
        seen = []
        for (name, curve), (colour, marker) in zip(curves.items(), ((ACCENT, "o"), (WARM, "D")), strict=False):
            # A bin without an event has no place on a logarithmic axis; its count is in the report's data.
            rows = [
                (p, o, n)
                for p, o, n in zip(curve["predicted"], curve["observed"], curve["count"], strict=True)
                if p > 0 and o > 0
            ]
            if not rows:
                continue
            p_N, o_N, n_N = (np.array(column, float) for column in zip(*rows, strict=True))
            error = 1.96 * np.sqrt(o_N * (1 - np.minimum(o_N, 1)) / n_N)
            axes.errorbar(
                p_N, o_N, [np.minimum(error, 0.99 * o_N), error], fmt=marker, color=colour, ms=4, lw=0.8, label=name
            )
            seen += [*p_N, *o_N]
        if seen:
            edges = (min(seen) / 1.6, max(seen) * 1.6)
            axes.plot(edges, edges, color=LINE, zorder=1)
            axes.set(xscale="log", yscale="log", xlim=edges, ylim=edges, aspect="equal")
            axes.legend(loc="upper left")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(lambda value, _: f"{value:g}")
            axis.set_minor_formatter(lambda value, _: "")
        axes.set(xlabel="predicted probability", ylabel="observed rate")
    return figure


def learning(points: Sequence[Mapping[str, Any]], uniform: float | None, best: Mapping[str, Any] | None) -> Figure:
    """Validation revenue over the oracle's by training step, the phases told apart."""
    with _figure() as (figure, axes):
        shown = [point for point in points if _finite(point.get("validation_ratio"))]
        y = [float(point["validation_ratio"]) for point in shown]
        x = np.arange(len(shown))
        axes.axhline(1, color=INK, lw=1, ls=(0, (4, 2)))
        axes.annotate("oracle", (0.01, 1), xycoords=("axes fraction", "data"), ha="left", va="bottom", color=INK)
        bottom = min(y, default=0.9)
        if uniform is not None and _finite(uniform):
            axes.axhline(uniform, color=MUTED, lw=1, ls=(0, (1, 2)))
            axes.annotate(
                "uniform split",
                (1, uniform),
                xycoords=("axes fraction", "data"),
                ha="right",
                va="bottom",
                color=MUTED,
            )
            bottom = min(bottom, uniform)
        top = 1 + 0.12 * (1 - bottom)
        axes.set(ylim=(bottom - 0.06 * (1 - bottom), top), ylabel="validation revenue / oracle's")
        start = 0
        for phase, end in _phases(shown):
            colour = ACCENT if phase == "pathwise" else WARM
            stop = min(end, len(x) - 1)
            alone = "." if end - start == 1 else "none"
            axes.plot(x[start : end + 1], y[start : end + 1], marker=alone, color=colour)
            if start:
                axes.axvline(start, color=LINE, lw=1)
            middle = ((start + stop) / 2, 1.01)
            axes.annotate(phase, middle, xycoords=("data", "axes fraction"), ha="center", color=colour, weight="bold")
            start = end
        marked = [
            index
            for index, point in enumerate(shown)
            if best and (point.get("phase"), point.get("update")) == (best.get("phase"), best.get("update"))
        ]
        axes.plot(marked, [y[index] for index in marked], "o", ms=6, mfc=PAPER, mec=INK, zorder=5)
        ticks = [int(tick) for tick in np.unique(np.linspace(0, len(shown) - 1, 4).astype(int))] if shown else []
        axes.set_xticks(ticks, [_compact(shown[tick].get("env_steps", tick)) for tick in ticks])
        axes.set_xlabel("campaign cycles simulated")
    return figure


def losses(rows: Sequence[tuple[str, Sequence[float], Sequence[float]]], axis: str) -> Figure:
    """Small panels under each other, one per (name, x, y), over one axis; y is cut at its 1st and 99th percentile."""
    with _figure(0.5 + 0.85 * max(len(rows), 1)) as (figure, only):
        only.remove()
        panels = figure.subplots(max(len(rows), 1), 1, sharex=True, squeeze=False)[:, 0]
        for axes, (name, x, y) in zip(panels, rows, strict=False):
            axes.plot(x, y, color=ACCENT, marker="." if len(y) == 1 else "none")
            axes.set_title(name, loc="left", color=MUTED, pad=2, fontsize=9)
            axes.locator_params(axis="y", nbins=3)
            # A small change of a large number is told by its digits, not by an offset above the panel.
            axes.ticklabel_format(axis="y", style="plain", useOffset=False)
            low, high = np.percentile(y, [1, 99])
            if high > low:
                axes.set_ylim(low - 0.1 * (high - low), high + 0.1 * (high - low))
        panels[-1].set_xlabel(axis)
        panels[-1].locator_params(axis="x", integer=True)
    return figure


def forest(rows: Sequence[tuple[str, float, float, float, str]], reference: float | None = None) -> Figure:
    """Mean and 95 % interval a line each; `rows`: (label, mean, low, high, "policy" | "oracle" | "other")."""
    with _figure(0.55 + 0.29 * max(len(rows), 2)) as (figure, axes):
        for line, (_, mean, low, high, kind) in enumerate(rows):
            colour = {"policy": ACCENT, "oracle": INK}.get(kind, MUTED)
            axes.plot([low, high], [line, line], color=colour, lw=2.2 if kind == "policy" else 1.4)
            marker = "D" if kind == "oracle" else "o"
            axes.plot(mean, line, marker, ms=6, color=colour, mfc=PAPER if kind == "oracle" else colour)
        if reference is not None:
            axes.axvline(reference, color=LINE, lw=1, zorder=0)
        axes.set_yticks(range(len(rows)), [label for label, *_ in rows])
        for tick, row in zip(axes.get_yticklabels(), rows, strict=True):
            tick.set_color(ACCENT if row[4] == "policy" else INK)
        axes.set(ylim=(len(rows) - 0.5, -0.5), xlabel="revenue / oracle's")
        axes.grid(axis="y", visible=False)
        axes.tick_params(axis="y", length=0)
    return figure


def shares(share_TP: Sequence[Sequence[float]], unit: str = "cycle") -> Figure:
    """Stacked shares of all platforms over time."""
    with _figure(2.7) as (figure, axes):
        y_TP = np.asarray(share_TP, float)
        _stack(axes, np.arange(len(y_TP)), y_TP.T)
        axes.set(ylim=(0, 1), xlabel=unit, ylabel="share of the cycle budget")
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
        axes.locator_params(axis="x", integer=True)
    return figure


def simplex(
    policy_TP: Sequence[Sequence[float]], oracle_TP: Sequence[Sequence[float]], platforms: Sequence[str]
) -> tuple[Figure, tuple[str, ...]]:
    """Paths of policy and oracle in the triangle of the three largest platforms, coloured by time; and which they are.

    With more than three platforms a point is the split among the three, which says nothing of the rest: the stacked
    figure does. The triangle is cut to where the paths run; a small one shows the cut in the whole.
    """
    policy, oracle = np.asarray(policy_TP, float), np.asarray(oracle_TP, float)
    top = np.sort(np.argsort(-(policy.mean(0) + oracle.mean(0)), kind="stable")[:3])
    names = tuple(platforms[index] for index in top)
    paths = [path[:, top] / np.maximum(path[:, top].sum(1, keepdims=True), 1e-9) for path in (oracle, policy)]
    if len(top) < 3:
        paths = [np.pad(path, ((0, 0), (0, 3 - len(top)))) for path in paths]
    corner, side = _cut(np.concatenate(paths))
    with _figure(3.7) as (figure, axes):
        axes.set_axis_off()
        axes.set(xlim=(-0.16, 1.16), ylim=(-0.17, 1.0), aspect="equal")
        for step in np.linspace(0, 1, 6):
            for one, other in (((step, 0), (step, 1 - step)), ((0, step), (1 - step, step)), ((step, 0), (0, step))):
                ends = np.array([_bary(*one), _bary(*other)])
                edge = step == 0 or (step == 1 and one[0] == 1 and other[1] == 1)
                axes.plot(*ends.T, color=MUTED if edge else LINE, lw=0.9 if edge else 0.6, zorder=1)
        for at, name, index, (ha, va) in (
            ((1, 0), names[0] if names else "", 0, ("center", "top")),
            ((0, 1), names[1] if len(names) > 1 else "", 1, ("center", "bottom")),
            ((0, 0), names[2] if len(names) > 2 else "", 2, ("center", "top")),
        ):
            x, y = _bary(*at)
            label = f"{name}\n{corner[index] + side:.0%}" if name else ""
            axes.annotate(
                label, (x, y), xytext=(0, 4 if va == "bottom" else -5), textcoords="offset points", ha=ha, va=va
            )
        _path(axes, (paths[0] - corner) / side, "D", hollow=True)
        _path(axes, (paths[1] - corner) / side, "o", hollow=False)
        if side < 0.98:
            _inset(figure, corner, side)
    return figure, names


def marginal(
    share: Sequence[float],
    marginal_roi: Sequence[float],
    at_policy: float | None,
    at_oracle: float | None,
    edges: tuple[float, float],
    common: float | None = None,
) -> Figure:
    """Marginal ROI of one platform over its share, with the policy's and the oracle's place on it; small.

    `edges`: right and upper end of the axes, the same for all platforms; a point beyond sits at the end.
    """
    right, top = edges
    with _figure(1.75, 2.3) as (figure, axes):
        x, y = np.asarray(share, float), np.asarray(marginal_roi, float)
        if common is not None:
            axes.axhline(common, color=MUTED, lw=0.9, ls=(0, (1, 2)))
        axes.plot(x, y, color=INK, lw=1.2)
        for at, marker, face, edge, size in ((at_oracle, "D", PAPER, INK, 7.5), (at_policy, "o", ACCENT, ACCENT, 4.5)):
            if at is not None and _finite(at):
                height = min(float(np.interp(at, x, y)), top)
                axes.plot([at], [height], marker, mfc=face, mec=edge, ms=size, zorder=5)
        axes.set(ylim=(0, 1.04 * top), xlim=(0, right))
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
        axes.locator_params(nbins=3)
    return figure


def deviations(rows: Mapping[str, Mapping[str, Mapping[str, Any]]], bound: float) -> Figure:
    """Market over log, less 1, with 95 % intervals; `rows`: "total" or platform -> metric -> value, low, high.

    One panel per metric on a common scale; the band within `bound` is marked. What reaches beyond the scale is cut.
    """
    groups, metrics = list(rows), list(next(iter(rows.values())))
    ends = [abs(row[metric][end]) for row in rows.values() for metric in metrics for end in ("low", "high")
            if _finite(row[metric].get(end))]  # fmt: skip
    reach = max(2 * bound, min(float(np.quantile(ends, 0.9)) if ends else 0.0, 8 * bound))
    with _panels(0.75 + 0.2 * max(len(groups), 3), len(metrics)) as (figure, panels):
        for axes, metric in zip(panels, metrics, strict=True):
            axes.axvline(0, color=LINE, lw=1, zorder=0)
            for edge in (-bound, bound):
                axes.axvline(edge, color=MUTED, lw=0.9, ls=(0, (1, 2)), zorder=0)
            for line, group in enumerate(groups):
                item = rows[group][metric]
                colour = ACCENT if group == "total" else INK
                if _finite(item.get("low")) and _finite(item.get("high")):
                    axes.plot([item["low"], item["high"]], [line, line], color=colour, lw=1.2)
                if _finite(item.get("value")):
                    axes.plot(item["value"], line, "o", ms=4, color=colour)
            axes.set(ylim=(len(groups) - 0.5, -0.5), xlim=(-1.05 * reach, 1.05 * reach))
            axes.set_title(metric.upper() if len(metric) == 3 else metric, fontsize=9)
            axes.set_xticks([-bound, bound], [f"−{bound:.0%}", f"{bound:.0%}"])
            axes.grid(visible=False)
            axes.tick_params(axis="y", length=0)
        panels[0].set_yticks(range(len(groups)), ["all" if group == "total" else group for group in groups])
    return figure


def svg(figure: Figure, name: str) -> str:
    """The figure as an inline SVG element that follows the page's theme; equal figures give equal text."""
    import matplotlib

    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.S)
    text = re.sub(r"<!--.*?-->\s*", "", text, flags=re.S)
    text = re.sub(r'(<g) id="[^"]*"', r"\1", text)  # nothing refers to groups, and several figures repeat their names
    text = re.sub(r'<svg [^>]*viewBox="([^"]*)"[^>]*>', rf'<svg viewBox="\1" role="img" aria-label="{name}">', text)
    text = re.sub(r"'DejaVu Sans'[^;\"]*", "inherit", text)
    text = text.replace("xlink:href", "href")
    for colour, variable in THEME.items():
        text = text.replace(colour, f"var({variable})")
    # Two decimals of a point are beyond any screen, and half the bytes. Tags only: text between them is labels.
    return re.sub(r"<[^>]*>", lambda tag: re.sub(r"(\d+\.\d{2})\d+", r"\1", tag[0]), text)


@contextmanager
def _figure(height: float = HEIGHT, width: float = WIDTH) -> Iterator[tuple[Figure, Axes]]:
    with _panels(height, 1, width) as (figure, (axes,)):
        yield figure, axes


@contextmanager
def _panels(height: float, count: int, width: float = WIDTH) -> Iterator[tuple[Figure, list[Axes]]]:
    """A figure with so many panels in a row that share their vertical axis."""
    import matplotlib
    from matplotlib.figure import Figure

    style = {
        "font.size": 9,
        "axes.edgecolor": MUTED,
        "axes.labelcolor": INK,
        "axes.linewidth": 0.7,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": LINE,
        "grid.linewidth": 0.6,
        "lines.linewidth": 1.6,
        "text.color": INK,
        "xtick.color": MUTED,
        "ytick.color": MUTED,
        "xtick.labelcolor": INK,
        "ytick.labelcolor": INK,
        "xtick.major.size": 3,
        "ytick.major.size": 3,
        "legend.frameon": False,
    }
    with matplotlib.rc_context(style):
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure, list(figure.subplots(1, count, sharey=True, squeeze=False)[0])


def _stack(axes: Axes, x: Any, y_PT: Any) -> None:
    colours = [PLATFORM_COLOURS[index % len(PLATFORM_COLOURS)] for index in range(len(y_PT))]
    if len(x) > 1:
        axes.stackplot(x, y_PT, colors=colours, edgecolor=PAPER, linewidth=0.4)
        axes.set_xlim(x[0], x[-1])
    else:
        axes.bar(np.repeat(x, len(y_PT)), y_PT[:, 0], 0.5, np.cumsum(y_PT[:, 0]) - y_PT[:, 0], color=colours)
    axes.grid(visible=False)


def _bary(first: Any, second: Any) -> tuple[Any, Any]:
    """Triangle coordinates: the first platform lower right, the second on top, the third lower left."""
    return first + 0.5 * second, second * math.sqrt(3) / 2


def _cut(points_N3: Any) -> tuple[Any, float]:
    """Lower corner and side of the smallest triangle of the same shape around all points, with a margin, in fifths."""
    low = np.maximum(points_N3.min(0) - 0.02, 0)
    low = np.floor(low * 20) / 20
    side = float(1 - low.sum())
    return low, max(side, 0.05)


def _path(axes: Axes, path_T3: Any, marker: str, *, hollow: bool) -> None:
    from matplotlib.colors import LinearSegmentedColormap

    x, y = _bary(path_T3[:, 0], path_T3[:, 1])
    axes.plot(x, y, color=LINE, lw=0 if hollow else 1, zorder=2)
    colours = LinearSegmentedColormap.from_list("time", TIME)(np.linspace(0, 1, len(path_T3)))
    axes.scatter(
        x,
        y,
        s=36 if hollow else 22,
        marker=marker,
        facecolors="none" if hollow else colours,
        edgecolors=colours if hollow else "none",
        linewidths=1.1,
        zorder=3 if hollow else 4,
    )


def _inset(figure: Figure, corner: Any, side: float) -> None:
    axes = figure.add_axes((0.03, 0.76, 0.2, 0.2))
    axes.set_axis_off()
    axes.set(aspect="equal")
    whole = np.array([_bary(*at) for at in ((0, 0), (1, 0), (0, 1), (0, 0))])
    part = np.array([_bary(corner[0] + side * a, corner[1] + side * b) for a, b in ((0, 0), (1, 0), (0, 1), (0, 0))])
    axes.plot(*whole.T, color=MUTED, lw=0.8)
    axes.fill(*part.T, color=ACCENT, lw=0)


def _phases(points: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, int]]:
    """(phase, index of the first point after it) in order."""
    for index, point in enumerate(points):
        following = points[index + 1] if index + 1 < len(points) else None
        if following is None or following.get("phase") != point.get("phase"):
            yield str(point.get("phase", "")), index + 1


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _compact(value: float) -> str:
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g} {letter}"
    return f"{value:.3g}"
