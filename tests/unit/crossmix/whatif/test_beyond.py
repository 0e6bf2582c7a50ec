"""Questions about more money than a history ever spent: a season, a launch, a budget many times today's."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pandas as pd
import pytest

from crossmix import whatif
from crossmix.config import ConfigError, load
from crossmix.market.fit.fit import estimate
from crossmix.market.fit.log import read
from crossmix.market.model import Market
from crossmix.whatif import figures
from crossmix.whatif.page import render
from pipelines.cli.whatif import table
from tests.support.bent_histories import earned, planted
from tests.support.drawn_axes import feet
from tests.support.histories import ingested


def market_of(folder: Path, history: pd.DataFrame) -> Market:
    dataset = ingested(folder, history)
    config = load("laptop", ["data.source=spend", "data.path=history.csv"])
    return estimate(config, dataset, read(dataset), None, periods="all")


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> whatif.Scene:
    return whatif.make_scene(market_of(tmp_path_factory.mktemp("plain"), planted()))


def test_a_season_of_ten_times_the_money_is_told_what_it_earns(tmp_path: Path) -> None:
    """Its last fortnight of a year: 14 of 365 days are no part of the mean that a curve could end at."""
    hits = list[bool]()
    for seed in (3, 4):
        scene = whatif.make_scene(market_of(tmp_path / str(seed), planted(365, seed=seed, season=(14, 10.0))))
        split = scene.today_P.tolist()
        for one in whatif.split_plan(scene, split, scene.budget).platforms:
            truths = earned(one.platform, one.amount.value)
            for told, truth in zip((one.revenue, one.marginal_roi), truths, strict=True):
                assert told.low > 0.1 * truth
                hits.append(told.low <= truth <= told.high)
        for times in (0.5, 2.0, 3.0):
            told = whatif.split_plan(scene, split, times * scene.budget).revenue
            money = times * scene.budget
            truth = sum(earned(name, money * part)[0] for name, part in zip(scene.platforms, split, strict=True))
            assert told.low <= truth <= told.high, times
    # Of 16 intervals of 95 % fewer than 13 hold in one case of a hundred, were they independent.
    assert sum(hits) >= 13, hits


def test_a_budget_of_several_times_the_largest_week_goes_on_and_is_labelled(plain: whatif.Scene) -> None:
    amount = 6 * plain.budget
    answer = whatif.ask(plain, [("6000", amount)], [("cpa", 1e3), ("roas", 1.0)], simulated_cycles=0)
    asked = answer.budgets[3]
    spread = asked.best.revenue.high - asked.best.revenue.low
    truth = sum(earned(one.platform, one.amount.value)[0] for one in asked.best.platforms)
    assert asked.best.revenue.low <= truth <= asked.best.revenue.high
    assert asked.next_unit.low > 0.1
    assert spread / asked.best.revenue.value > 1.5 * (
        (answer.budgets[0].best.revenue.high - answer.budgets[0].best.revenue.low)
        / answer.budgets[0].best.revenue.value
    )
    assert asked.best.utilisation.value == pytest.approx(1, abs=0.01)
    (line,) = [note for note in answer.notes if note.startswith("The best split of 6000 is beyond")]
    assert f"({amount:,.2f} where the most in a week was {plain.ever.total:,.2f} " in line  # type: ignore[union-attr]
    assert line in table(answer)
    assert line.split(" (")[0] in render(answer)
    # A target that any budget meets is met as far as is answered, which is no supply.
    assert answer.targets[0].verdict == "always"
    assert "up to 10 times the most that was ever spent, the largest that is answered (" in table(answer)
    assert "all supply" not in render(answer)


def test_curves_show_where_nobody_has_been(plain: whatif.Scene) -> None:
    answer = whatif.ask(plain, simulated_cycles=0)
    page = render(answer)
    assert "Dotted: the most that a week ever spent there; beyond it the fitted law is continued" in page
    assert "all its requests would cost" not in page
    curve, most = answer.curves[0], plain.ever.platforms[0]  # type: ignore[union-attr]
    bare, marked = (ElementTree.fromstring(figures.revenue(curve, 1.0, 1.0, 1e4, each)) for each in (None, most))
    (line,) = [
        one.attrib for one in marked.iter("line") if one.attrib not in [other.attrib for other in bare.iter("line")]
    ]
    assert line["x1"] == line["x2"]
    ((left, right),) = feet(figures.revenue(curve, 1.0, 1.0, 1e4))
    part = most / float(curve.budget_G[-1])
    assert 0 < part < 1
    assert float(line["x1"]) == pytest.approx(left + part * (right - left), abs=0.1)


def test_a_budget_that_no_history_tells_of_is_refused_with_what_may_be_asked(plain: whatif.Scene) -> None:
    with pytest.raises(
        ConfigError, match=r"times the most that was spent in a week \(.*no history tells.*give at most"
    ):
        whatif.ask(plain, [("20000", 25 * plain.budget)])
    assert plain.farthest == pytest.approx(10 * plain.ever.total)  # type: ignore[union-attr]
    assert plain.supply > 4 * plain.farthest


def test_within_what_was_spent_nothing_is_said(plain: whatif.Scene) -> None:
    known = whatif.ask(plain, simulated_cycles=0)
    most = dict(zip(plain.platforms, plain.ever.platforms, strict=True))  # type: ignore[union-attr]
    over = [one for one in known.budgets[0].best.platforms if one.amount.value > 1.1 * most[one.platform]]
    assert any("beyond what was ever spent" in note for note in known.notes) == bool(over)
