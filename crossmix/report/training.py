"""The learning curve: which policy was kept, how the split moved, and what each round's updates told."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from crossmix.artifacts import Best, Curve, CurvePoint
from crossmix.pages.charts import ACCENT, DASHES, DOTS, INK, LINE, MUTED, PAPER, WARM, Chart, platform_legend
from crossmix.pages.format import compact, decimal, finite
from crossmix.pages.scales import Axis, Scale
from crossmix.registered import PACKAGES, declared
from crossmix.report.charts import series, shares, wider
from crossmix.report.section import SECTIONS, Section, absent, markup

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markupsafe import Markup

    from crossmix.report.inputs import ReportInputs

AGENTS = PACKAGES["train.agent"]
"""Package whose files declare what `train.agent` names."""


def agent(name: str) -> str:
    """The agent's label and name; one that is not here any more has its name alone."""
    known = declared(AGENTS).get(name)
    return name if known is None else f"{known.literals['label']} ({name})"


def headings() -> dict[str, str]:
    """Figures of a round that are drawn, with their headings: each agent declares its own."""
    return {
        key: heading for one in declared(AGENTS).values() for key, heading in one.literals.get("curves", {}).items()
    }


def learning(curve: Curve) -> Markup:
    """Validation revenue over the oracle's by training step, the phases told apart."""
    points = [point for point in curve.points if finite(point.validation_ratio) is not None]
    ratios = [point.validation_ratio for point in points]
    uniform = finite(curve.uniform_ratio)
    bottom = min([*ratios, *([] if uniform is None else [uniform])], default=0.9)
    room = 1 - bottom if bottom < 1 else 0.01
    named = sorted({round((len(points) - 1) * part / 3) for part in range(4)}) if points else []
    chart = Chart("learning curve")
    panel = chart.panel(
        Axis(
            wider(0, len(points) - 1),
            "campaign cycles simulated",
            ticks=[(at, compact(points[at].env_steps)) for at in named],
        ),
        Axis(Scale(bottom - 0.06 * room, 1 + 0.12 * room), "validation revenue / oracle’s"),
        head=24,
    )
    scale = panel.x.scale
    panel.level(1.0, INK, DASHES)
    panel.note(scale.low, 1.0, " oracle", INK, lift=4)
    if uniform is not None:
        panel.level(uniform, MUTED, DOTS)
        panel.note(scale.high, uniform, "uniform split ", anchor="end", lift=4)
    start = 0
    for phase, group in groupby(points, key=lambda point: point.phase):
        end = start + len(list(group))
        colour = ACCENT if phase == "pathwise" else WARM
        stop = min(end, len(points) - 1)
        panel.line(range(start, stop + 1), ratios[start : stop + 1], colour)
        if start:
            panel.upright(start, LINE, "")
        panel.note((start + stop) / 2, panel.y.scale.high, phase, colour, anchor="middle", lift=8, bold=True)
        start = end
    kept = [
        at for at, point in enumerate(points) if (point.phase, point.update) == (curve.best.phase, curve.best.update)
    ]
    panel.dots(kept, [ratios[at] for at in kept], INK, size=4.5, hollow=True, fill=PAPER)
    return chart.svg()


def losses(points: Sequence[CurvePoint]) -> Markup | None:
    """What each round's updates told, a panel each."""
    rows = []
    for key, heading in headings().items():
        known = [(point.update, point.figures[key]) for point in points if finite(point.figures.get(key)) is not None]
        if known:
            x, y = zip(*known, strict=True)
            rows.append((heading, x, y))
    return series(rows, "round", "losses") if rows else None


def kept_policy(best: Best) -> str:
    """Which policy was kept, in words."""
    known = declared(AGENTS).get(best.phase)
    if known is not None and known.literals.get("start") == "base":
        return f"by the fitted market’s plan, solved each cycle (agent {best.phase}; nothing was trained)"
    if best.update == 0:
        return "by the fitted market’s plan, which no update of training bettered"
    return f"in phase {best.phase}, update {best.update}"


def _body(inputs: ReportInputs) -> Markup:
    curve = inputs.curve
    if curve is None or not curve.points:
        return absent("No training curve is there: the train step has not run.")
    first = curve.points[0]
    rounds = [point for point in curve.points if point.phase != "pathwise"]
    return markup(
        "training.html.j2",
        learning=learning(curve),
        agent=agent(curve.agent),
        ratio=decimal(curve.best.validation_ratio),
        kept=kept_policy(curve.best),
        start=decimal(first.validation_ratio, 4) if (first.phase, first.update) == ("pathwise", 0) else None,
        stopped=curve.stopped,
        legend=platform_legend(curve.platforms),
        splits=shares([point.share for point in curve.points], "split while training", "validation"),
        losses=losses(rounds),
    )


LEARNING = SECTIONS.register(
    Section(name="learning", order=40, title="The learning curve", link="Learning", body=_body)
)
