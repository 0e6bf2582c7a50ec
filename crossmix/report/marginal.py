"""Marginal ROI by platform: what the next unit of money would earn, where policy and oracle stand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from crossmix.artifacts import MarginalCurve
from crossmix.pages.charts import ACCENT, INK, MUTED, PAPER, SMALL, Chart
from crossmix.pages.format import finite, number, percent
from crossmix.pages.scales import Axis, Scale, as_percent
from crossmix.report.section import SECTIONS, Section, absent, markup

if TYPE_CHECKING:
    from collections.abc import Mapping

    from markupsafe import Markup

    from crossmix.report.inputs import ReportInputs

HEIGHT = 175.0


def marginal(curve: MarginalCurve, label: str, right: float, top: float, common: float | None) -> Markup:
    """One platform's curve over its share, with the policy's and the oracle's place on it; small.

    Args:
        right: end of the axis of shares, the same for all platforms; `top`: of marginal ROI; a point beyond sits there.
        common: what the oracle's next unit earns on most platforms.
    """
    chart = Chart(label, SMALL[0], HEIGHT)
    panel = chart.panel(Axis(Scale(0, right), form=as_percent, most=3), Axis(Scale(0, 1.04 * top), most=4))
    if common is not None:
        panel.level(common, MUTED)
    panel.line(curve.share, curve.marginal, INK, width=1.6)
    oracle, policy = (None if finite(at) is None else _height(curve, at) for at in (curve.at_oracle, curve.at_policy))
    if oracle is not None:
        panel.dots([curve.at_oracle], [min(oracle, top)], INK, shape="diamond", size=5.5, hollow=True, fill=PAPER)
    if policy is not None:
        panel.dots([curve.at_policy], [min(policy, top)], ACCENT, size=3.6)
    return chart.svg()


def panels(curves: Mapping[str, MarginalCurve]) -> tuple[list[dict[str, str]], float | None]:
    """A panel per platform, and the oracle's median marginal ROI."""
    at_policy = {name: _height(one, one.at_policy) for name, one in curves.items() if finite(one.at_policy) is not None}
    at_oracle = {name: _height(one, one.at_oracle) for name, one in curves.items() if finite(one.at_oracle) is not None}
    heights = sorted([*at_policy.values(), *at_oracle.values()])
    common = float(np.median(list(at_oracle.values()))) if at_oracle else None
    # One far outlier must not flatten the rest: the scale follows the bulk, and points beyond it sit at the top.
    top = 1.25 * (min(heights[-1], 2.5 * heights[len(heights) // 2]) if heights else 1.0) or 1.0
    shares = [finite(at) or 0.0 for one in curves.values() for at in (one.at_policy, one.at_oracle)]
    right = min(max(one.share[-1] for one in curves.values()), max(2 * max(shares), 0.02))
    return [
        {
            "platform": name,
            "figure": marginal(curve, f"marginal ROI of {name}", right, top, common),
            "policy": percent(curve.at_policy),
            "oracle": percent(curve.at_oracle),
            "roi": number(at_policy.get(name)),
        }
        for name, curve in curves.items()
    ], common


def _height(curve: MarginalCurve, share: float) -> float:
    return float(np.interp(share, curve.share, curve.marginal))


def _body(inputs: ReportInputs) -> Markup:
    if inputs.evaluation is None or not inputs.evaluation.marginal_roi:
        return absent("No marginal ROI is there.")
    drawn, common = panels(inputs.evaluation.marginal_roi)
    several = len(inputs.evaluation.campaigns) > 1
    return markup(
        "marginal.html.j2",
        panels=drawn,
        common=None if common is None else number(common),
        campaign=inputs.evaluation.trajectory.campaign if several else None,
    )


MARGINAL = SECTIONS.register(
    Section(name="marginal", order=60, title="Marginal ROI by platform", link="Marginal ROI", body=_body)
)
