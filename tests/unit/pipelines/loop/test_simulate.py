"""What is asked of a simulation: when it breaks and for how long; what a day's answers and figures become."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from crossmix.config import ConfigError
from pipelines.loop.simulate import Question, Simulation, moment_of, sums, told_of
from tests.support.markets import make_market


def test_scenario_and_poison_begin_after_a_third_of_the_days_and_end_when_they_are_told() -> None:
    assert [Question(days=60).start, Question(days=60, start_day=0).start] == [20, 0]
    for duration, stop in ((None, 30), (4, 14)):
        poison = Question(days=30, poison="twice", arms="policy", duration=duration).poisoned()
        assert poison is not None
        assert (poison.kind, poison.start, poison.stop, poison.arms) == ("twice", 10, stop, "policy")
    assert Question().poisoned() is None
    assert Question(days=9, seed=4).settings == ["serving.days=9", "serving.salt=loop-4"]


def test_the_first_and_the_last_day_may_be_the_start() -> None:
    for start in (0, 9):
        Question(days=10, start_day=start).check()
    with pytest.raises(ConfigError, match="--start-day -1"):
        Question(days=10, start_day=-1).check()


def test_the_market_has_the_campaigns_that_are_asked_for() -> None:
    market = make_market(campaigns=2)
    assert Question(campaigns=2).market_of(market) is market
    with pytest.raises(ConfigError, match="--campaigns 3: the market has 2"):
        Question(campaigns=3).market_of(market)
    shifted = Question(campaigns=2, days=12, scenario="outage", duration=3).market_of(market)
    assert shifted is not market


def test_a_day_is_played_in_its_last_hour() -> None:
    assert moment_of(0) == datetime(2026, 1, 5, 23, tzinfo=UTC)
    assert moment_of(9) == datetime(2026, 1, 14, 23, tzinfo=UTC)


def test_shares_are_told_as_parts_of_one_and_budgets_as_money() -> None:
    answers = [
        {"allocation": [{"share": 0.25}, {"share": 0.25}], "budget": 70.0},
        {"allocation": [{"share": 0.9}, {"share": 0.1}], "budget": 30.0},
    ]
    share_BP, budget_B = told_of(answers)
    torch.testing.assert_close(share_BP, torch.tensor([[0.5, 0.5], [0.9, 0.1]]))
    assert budget_B.tolist() == [70.0, 30.0]


def test_a_days_figures_are_sums_over_campaigns_and_platforms() -> None:
    tables = {name: torch.full((2, 3), amount) for name, amount in (("planned", 4.0), ("spend", 3.0), ("revenue", 5.0))}
    outcome = SimpleNamespace(**tables, conversions=torch.ones(2, 3), expected_revenue=None)
    played: Any = SimpleNamespace(outcome=outcome)
    assert sums(played) == {
        "planned": 24.0, "spend": 18.0, "revenue": 30.0, "conversions": 6.0, "expected_revenue": None,
    }  # fmt: skip
    outcome.expected_revenue = torch.full((2, 3), 2.0)
    assert sums(played)["expected_revenue"] == 12.0


def test_the_feed_breaks_on_the_platform_with_most_spend() -> None:
    poison = Question(days=9, poison="swap", start_day=0).poisoned()
    spent = SimpleNamespace(poison=poison, spend_P=torch.tensor([3.0, 9.0, 5.0]), platforms=("a", "b", "c"))
    events: Any = [{"platform": name, "spend": 1.0} for name in "abc"]
    found = Simulation._as_reported(cast(Simulation, spent), events, "policy", 1)
    assert [one["platform"] for one in found] == ["a", "c", "b"]
