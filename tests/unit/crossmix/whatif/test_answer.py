"""All questions together, and those that cannot be asked."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from crossmix import whatif
from crossmix.allocate import LimitChange
from crossmix.config import ConfigError
from crossmix.constraints import InfeasibleError
from crossmix.evaluate.decision.standing import AS_JUDGED, BY_ALL, Standing
from crossmix.market.model import Market
from crossmix.whatif.answer import COVERS, DOUBTED
from crossmix.whatif.page import _headline, render
from crossmix.whatif.scene import Scene
from pipelines.cli.whatif import table
from tests.support.markets import make_market
from tests.support.scenes import first_platform


def test_one_platform_alone_has_answers_too() -> None:
    market = first_platform(make_market(platforms=2, campaigns=1))
    answer = whatif.ask(whatif.make_scene(market, draws=30), targets=[("roas", 1.0)])
    assert answer.perturbations == ()
    assert all(one.best.platforms[0].share.value == pytest.approx(1) for one in answer.budgets)
    assert all(one.limits == () for one in answer.budgets)
    assert "<section" in render(answer)


def test_todays_budget_and_a_fifth_less_and_more_are_always_answered(answer: whatif.WhatIf) -> None:
    assert [one.label for one in answer.budgets] == ["today", "-20%", "+20%", "+30%"]  # "mine" is the -20 %
    parts = [one.best.budget / answer.budget for one in answer.budgets]
    assert parts == pytest.approx([1, 0.8, 1.2, 1.3])
    assert [one.verdict for one in answer.targets][:2] == ["never", "always"]
    text = json.dumps(answer.as_dict(), allow_nan=False)
    assert json.loads(text)["budgets"][0]["best"]["platforms"][0]["platform"] == "p0"


def test_what_was_proved_is_at_todays_budget_and_the_answer_says_so(answer: whatif.WhatIf) -> None:
    proved = replace(answer, standing=Standing("proved", "it earns more", None))
    (first, *others), sentence = proved.notes, f"proved is the change at today’s budget of {answer.budget:,.2f} USD"
    assert sentence in first
    assert tuple(others) == answer.notes == COVERS
    assert sentence in render(proved)
    assert sentence not in render(answer)
    assert proved.as_dict()["notes"][0] == first
    for other in (
        replace(proved, budgets=proved.budgets[:1]),
        replace(answer, standing=Standing("plausible", "", None)),
    ):
        assert other.notes == COVERS


def test_where_the_best_split_is_likelier_to_lose_todays_heads_the_answer(answer: whatif.WhatIf) -> None:
    kept = replace(answer, standing=Standing("not enough", "keep today's split of campaign c0", "a test", keep=True))
    assert answer.as_dict()["recommended"] == "best"
    assert kept.as_dict()["recommended"] == "today"
    assert kept.notes[0] == DOUBTED.format(AS_JUDGED)
    lost = replace(kept, standing=Standing("not enough", "keep today's split", "a test", keep=True, doubt=BY_ALL))
    assert lost.notes[0].endswith("which way money should move.")
    assert _headline(lost).endswith(f"per cycle: {BY_ALL}.")
    now = answer.budgets[0]
    page, lines = render(kept), table(kept).splitlines()
    assert "Keep today’s split of" in page
    assert "The best split of today’s" not in page
    assert "Revenue, best split" not in page
    assert "Best share, by the fit alone" in page
    assert page.count("→ best by the fit alone ") == len(answer.platforms)
    assert "→ best by the fit alone " not in render(answer)
    heading, row = (next(line for line in lines if word in line) for word in ("  CPA", " today  "))
    assert heading.split("  ")[-1] == "best split earns more, by the fit alone"
    gain = f"{now.gain.value:+,.0f} [{now.gain.low:+,.0f}, {now.gain.high:+,.0f}]"
    assert row.endswith(gain)
    assert f"{now.today.revenue.value:,.0f} [" in row
    assert f"keep today's split of {1.3 * answer.budget:,.0f} (+30%)" in lines
    shares = {one.platform: f"{one.share.value:.1%}" for one in answer.budgets[3].today.platforms}
    rows = {line.split()[0]: line.split()[1] for line in lines if line.startswith(("p0", "p1", "p2"))}
    assert rows.items() <= shares.items()
    assert len(rows) == 3
    assert not any(line.startswith("best split of") for line in lines)
    assert any(line.startswith("best split of") for line in table(answer).splitlines())


def test_questions_that_cannot_be_asked(market: Market, scene: Scene) -> None:
    for arguments, message in (
        ({"campaign": None}, "campaign: the market knows 2: c0, c1; name one"),
        ({"campaign": "c9"}, "campaign: 'c9' is unknown; use one of c0, c1"),
        ({"weekday": 7}, "weekday: 7; give a number from 0"),
        ({"weekday": -1}, "weekday: -1; give a number from 0"),
        ({"today": {"p9": 1.0}}, "share: platform 'p9' is unknown"),
        ({"today": {"p0": 1.5}}, "share: 1.5 for p0; give a share"),
        ({"today": {"p0": 0.5}}, "today's shares sum to 0.5"),
        ({"change": LimitChange(maximum={"tv": 0.5})}, "platform 'tv' is unknown"),
    ):
        with pytest.raises(ConfigError, match=message):
            whatif.make_scene(market, **({"campaign": "c0"} | arguments))
    with pytest.raises(InfeasibleError, match=r"the mins sum to 1\.2"):
        whatif.make_scene(market, "c0", change=LimitChange(minimum={"p0": 0.6, "p1": 0.6}))
    for amount, message in (
        (-5.0, "give an amount above 0"),
        (float("nan"), "give an amount above 0"),
        (1e-5, "less than a ten-thousandth of today's"),
        (1e9, "far above the .* that all requests of a cycle would cost"),
    ):
        with pytest.raises(ConfigError, match=message):
            whatif.ask(scene, [("mine", amount)])
