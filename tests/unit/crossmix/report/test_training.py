"""What training tells: which policy was kept, and the figures that agents declare."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from crossmix.artifacts import Curve
from crossmix.report.inputs import ReportInputs
from crossmix.report.page import render
from crossmix.report.training import learning, losses
from tests.support.html_pages import words
from tests.support.report_steps import demo


@pytest.fixture(scope="module")
def curve(tmp_path_factory: pytest.TempPathFactory) -> Curve:
    return Curve.load(demo(tmp_path_factory.mktemp("steps"), ("a", "b"))["train"])


@pytest.mark.parametrize(
    ("points", "sentence"),
    [
        ([("pathwise", 0, 0.99), ("pathwise", 100, 0.98)], "by the fitted market’s plan, which no update"),
        ([("pathwise", 0, 0.98), ("pathwise", 100, 0.99)], "in phase pathwise, update 100"),
        ([("mpc", 0, 0.97)], "agent mpc; nothing was trained"),
    ],
)
def test_the_report_says_which_policy_was_kept(
    curve: Curve, tmp_path: Path, points: list[tuple[str, int, float]], sentence: str
) -> None:
    content = curve.plain()
    rows = [
        content["points"][0] | {"phase": phase, "update": update, "env_steps": update, "validation_ratio": ratio}
        for phase, update, ratio in points
    ]
    best = max(rows, key=lambda row: row["validation_ratio"])
    content |= {"points": rows, "best": {key: best[key] for key in content["best"]}}
    Curve.of(content).save(tmp_path)
    page = words(render(ReportInputs.collect({"train": tmp_path})))
    assert sentence in page
    assert ("from which training started, has" in page) == (points[0][0] == "pathwise")


def test_phases_are_named_and_the_kept_point_is_ringed(curve: Curve) -> None:
    root = ElementTree.fromstring(learning(curve))
    texts = [text.text for text in root.iter("text")]
    assert {"pathwise", "hybrid", " oracle", "uniform split "} <= set(texts)
    assert len(list(root.iter("circle"))) == 1
    assert len(list(root.iter("polyline"))) == 2


def test_what_agents_declare_is_drawn_under_their_headings(curve: Curve) -> None:
    points = [
        replace(point, figures={"ppo_kl": 0.1, "ppo_epochs": 4.0, "ddpg_actor_loss": 1.0})
        for point in curve.points[-3:]
    ]
    drawn = losses(points)
    assert drawn is not None
    texts = [text.text for text in ElementTree.fromstring(drawn).iter("text")]
    assert {"PPO step, KL", "DDPG actor loss"} <= set(texts)
    assert "PPO entropy, nats" not in texts
    assert not any("epochs" in str(text) for text in texts)
    assert losses([replace(point, figures={}) for point in points]) is None
