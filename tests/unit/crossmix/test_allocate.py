"""An answer with its reasons: it adds up, names what binds, and says what it cannot answer."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

from crossmix import allocate, bundle
from crossmix.allocate import at_least
from crossmix.config import ConfigError, laptop
from crossmix.constraints import InfeasibleError
from crossmix.market.environment import MarketEnvironment, episode_campaigns
from crossmix.response import FIRST, Response
from crossmix.state import ALLOCATION
from tests.support.base_policies import base_policy
from tests.support.bundles import CAMPAIGNS, PLATFORMS, make
from tests.support.markets import make_market


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> bundle.Bundle:
    return make(tmp_path_factory.mktemp("saved") / "bundle")


class Market:
    """Revenue 2 sqrt(money x 100) on each platform."""

    def __call__(self, share_P: np.ndarray, budget: float) -> Response:
        money = np.maximum(share_P * budget, 1e-9)
        revenue, marginal = 2 * np.sqrt(100 * money), 10 / np.sqrt(money)
        return Response(revenue, 0.1 * revenue, marginal, 0.1 * marginal)


def test_an_explanation_adds_up_and_names_what_binds(saved: bundle.Bundle) -> None:
    change = allocate.LimitChange(maximum={"search": 0.1}, minimum={"video": 0.5})
    answer = allocate.explain(saved, np.zeros(128), CAMPAIGNS[1], Market(), budget=500.0, change=change)
    assert sum(line.share for line in answer.platforms) == pytest.approx(1, abs=1e-5)
    assert sum(line.amount for line in answer.platforms) == pytest.approx(500, abs=0.01)
    by_name = {line.platform: line for line in answer.platforms}
    assert (by_name["search"].binding, by_name["video"].binding) == ("max", "min")
    assert len(answer.binding) == 2
    low, high = answer.expected_revenue_interval
    assert low < answer.expected_revenue < high
    assert answer.expected_roi == pytest.approx(answer.expected_revenue / 500)
    assert answer.static_revenue == pytest.approx(4 * 2 * np.sqrt(100 * 125))
    assert answer.notes  # the bundle has step limits, and no last shares were given
    plain = json.loads(json.dumps(answer.as_dict(), allow_nan=False))
    assert {one["platform"]: one["binding"] for one in plain["platforms"]} == {
        name: line.binding for name, line in by_name.items()
    }


def lognormal(mean: float, deviation: float) -> tuple[float, float]:
    law = stats.lognorm(s=np.sqrt(np.log(1 + (deviation / mean) ** 2)), scale=mean / np.hypot(1, deviation / mean))
    return float(law.ppf(0.025)), float(law.ppf(0.975))


def test_the_whole_splits_interval_counts_what_platforms_errors_share(saved: bundle.Bundle) -> None:
    """Errors of a tenth: of four platforms apart, and of one and the same error of all, which does not average out."""

    def together(share_P: np.ndarray, budget: float) -> Response:
        alone = Market()(share_P, budget)
        return replace(alone, common_PF=alone.revenue_se_P[:, None])

    apart = allocate.explain(saved, np.zeros(128), CAMPAIGNS[1], Market(), budget=500.0)
    low, high = apart.expected_revenue_interval
    error = 0.1 * float(np.linalg.norm([line.expected_revenue for line in apart.platforms]))
    assert (low, high) == pytest.approx(lognormal(apart.expected_revenue, error), rel=1e-6)
    answer = allocate.explain(saved, np.zeros(128), CAMPAIGNS[1], together, budget=500.0)
    assert answer.expected_revenue_interval == pytest.approx(
        lognormal(answer.expected_revenue, 0.1 * answer.expected_revenue), rel=1e-6
    )


def test_frozen_and_stepped_shares_are_told_apart(saved: bundle.Bundle) -> None:
    last = np.array([0.7, 0.1, 0.1, 0.1])
    answer = allocate.explain(
        saved,
        np.zeros(128),
        CAMPAIGNS[0],
        Market(),
        change=allocate.LimitChange(freeze=frozenset({"shop"})),
        previous_P=last,
    )
    kinds = {line.platform: line.binding for line in answer.platforms}
    assert kinds["shop"] == "frozen"
    assert kinds["search"] == "step"
    assert not answer.notes
    assert {line.platform: round(line.share, 4) for line in answer.platforms}["shop"] == 0.1


def test_the_budget_is_told_as_pace_whatever_a_flight_before_left_over(saved: bundle.Bundle) -> None:
    """A log that ends has overspent or has much left: its pace is not the coming cycle's."""

    def split(pace: float, budget: float | None = None) -> list[float]:
        statistics = ALLOCATION.write(np.zeros(128), campaign={"pace": pace})
        answer = allocate.explain(saved, statistics, CAMPAIGNS[0], Market(), budget=budget)
        return [line.share for line in answer.platforms]

    plan = saved.plans[CAMPAIGNS[0]].cycle_budget
    assert split(3e-6) == split(4.0) == split(1.0) == split(3e-6, plan)
    assert split(3e-6, 3 * plan) != split(3e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"budget": 0.0}, "budget: 0.0; give an amount above 0 in EUR"),
        ({"budget": float("nan")}, "budget: nan"),
        ({"change": allocate.LimitChange(maximum={"radio": 0.1})}, "limits.max: platform 'radio' is unknown"),
        ({"change": allocate.LimitChange(minimum={"shop": 40})}, "limits.min: 40 for shop"),
        ({"previous_P": np.array([0.5, 0.1, 0.1, 0.1])}, "sum to 1"),
        ({"previous_P": np.array([1.0])}, "one per platform"),
        ({"change": allocate.LimitChange(maximum=dict.fromkeys(PLATFORMS, 0.2))}, "maxes sum to 0.8"),
    ],
)
def test_questions_that_cannot_be_answered_say_why(
    saved: bundle.Bundle, arguments: dict[str, object], message: str
) -> None:
    with pytest.raises((ConfigError, InfeasibleError), match=message):
        allocate.explain(saved, np.zeros(128), CAMPAIGNS[0], Market(), **arguments)
    with pytest.raises(bundle.BundleError, match="campaign: 'x' is not in this bundle"):
        allocate.explain(saved, np.zeros(128), "x", Market())


def _in_money(state_BS: torch.Tensor, times: float) -> torch.Tensor:
    """States of flights on a plan, as of flights on one of 1 / `times` of its budget."""
    rows = state_BS.numpy().copy()
    for statistics_X in ALLOCATION.statistics(rows):
        pace = times * float(ALLOCATION.of_campaign(statistics_X, "pace"))
        statistics_X[:] = ALLOCATION.clamp(allocate.with_money(ALLOCATION, statistics_X, pace, pace)[None])[0]
    return torch.from_numpy(rows)


@pytest.mark.parametrize("times", [0.5, 2.0])
def test_an_edited_budget_is_split_as_by_a_policy_whose_plan_has_it(times: float) -> None:
    """Within 1e-4 of a share after the first tenth of a flight, when windows are full; in it on average within 0.01."""
    market = make_market(seed=3, campaigns=2)
    edited = replace(market, budget=times * market.budget)
    policy, other = base_policy(market, laptop()), base_policy(edited, laptop())
    world = MarketEnvironment(
        edited, laptop(), campaign_B=episode_campaigns(market, 16), cycles=20, mechanism="counts", seed=5
    )
    seen = world.observe()
    for cycle in range(12):
        want = other.plan(seen.state_BS)
        got = policy.plan(_in_money(seen.state_BS, times))
        off, wrong = ((one - want.share).abs().amax(1) for one in (got.share, policy(seen.state_BS)))
        assert float(wrong.mean()) > 0.05, "the plan's own budget is another split"
        if cycle < 2:
            assert float(off.mean()) < 0.01
        else:
            assert float(off.max()) < 1e-4
            assert torch.allclose(got.belief[:, :5], want.belief[:, :5], rtol=1e-3)
        assert torch.equal(_in_money(seen.state_BS, 1.0), seen.state_BS), "a plan's own flights stay as they are"
        seen = world.step(want.share).observation


@pytest.mark.parametrize(
    ("gone", "flight", "want"),
    [
        ((0.5, 0.5), 1.005, (0.5, 0.5)),  # as it says
        ((0.5, 0.5), 0.5, (0.5, 0.75)),
        ((0.5, 0.5), 2.0, (0.5, 0.0)),
        ((0.2, 0.2), 2.0, (0.5, 0.0)),  # more than was never spent: fewer cycles are left for it
        ((0.2, 0.2), 50.0, (0.8, 0.0)),  # the state tells 5 at most
        ((0.5, 1.2), 0.0, (0.5, 1.2)),  # nothing is left, as it says
        ((1.0, 0.9), 2.0, (0.98, 0.96)),
        ((0.2, 0.2), None, (0.2, 0.2)),
    ],
)
def test_money_of_a_flight_is_what_is_left_over_what_it_is_left_for(
    gone: tuple[float, float], flight: float | None, want: tuple[float, float]
) -> None:
    elapsed, consumed = gone
    statistics = np.random.default_rng(0).random(ALLOCATION.statistics_size).astype(np.float32)
    given = ALLOCATION.write(statistics, campaign={"elapsed": elapsed, "consumed": consumed, "pace": 1.0})
    told = allocate.with_money(ALLOCATION, given, flight, 0.7)
    read = [float(ALLOCATION.of_campaign(told, name)) for name in ("elapsed", "consumed", "pace")]
    assert read == pytest.approx([*want, 0.7], abs=1e-6)
    others = ALLOCATION.write(told, campaign={"elapsed": elapsed, "consumed": consumed, "pace": 1.0})
    assert np.array_equal(others, given)


def test_the_marginal_of_nothing_is_what_its_first_money_earns() -> None:
    """The square root's slope at nothing is infinite; a thousandth of the budget earns 31.6 for each unit."""

    def market(share_P: np.ndarray, budget: float) -> Response:
        money = np.asarray(share_P, float) * budget
        slope = np.divide(0.5, np.sqrt(money), out=np.full(len(money), np.inf), where=money > 0)
        return Response(np.sqrt(money), 0.1 * np.sqrt(money), slope, slope)

    share = np.array([0.0, 0.36, 0.64])
    response = at_least(market, share, 1.0)
    assert response.marginal_P == pytest.approx([FIRST**-0.5, 0.5 / 0.6, 0.5 / 0.8])
    assert response.marginal_se_P[0] == pytest.approx(0.1 * FIRST**-0.5)
    assert response.revenue_P == pytest.approx([0, 0.6, 0.8])
