"""A history's price curve has no end: it is continued by its own law, and what was ever spent is told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from crossmix.config import load as settings
from crossmix.history import Outcome
from crossmix.market.conditions import nominal
from crossmix.market.draws import doubled, spread
from crossmix.market.fit.fit import estimate
from crossmix.market.fit.log import read
from crossmix.market.fit.today import rolling
from crossmix.market.mechanism import expected
from crossmix.market.model import Market, load, save
from crossmix.market.reach import ever, reaching
from crossmix.market.responder import MarketResponder
from crossmix.response import MOST, Ever
from tests.support.bent_histories import planted
from tests.support.histories import ingested
from tests.support.markets import make_market


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Market:
    dataset = ingested(tmp_path_factory.mktemp("history"), planted())
    config = settings("laptop", ["data.source=spend", "data.path=history.csv"])
    return estimate(config, dataset, read(dataset), None, periods="all")


def outcome(market: Market, amount_GP: torch.Tensor, campaign: int = 0) -> Outcome:
    exact = doubled(market)
    return expected(spread(nominal(exact, torch.tensor([campaign])), len(amount_GP)), amount_GP.double())


def revenue(market: Market, amount_GP: torch.Tensor) -> torch.Tensor:
    return outcome(market, amount_GP).revenue


def test_within_its_old_reach_a_continued_market_answers_as_before(fitted: Market) -> None:
    further = reaching(fitted, 20 * fitted.budget)
    amount = fitted.budget[0] * fitted.static[0] * torch.linspace(0.3, 1.5, 9)[:, None]
    torch.testing.assert_close(revenue(further, amount), revenue(fitted, amount), rtol=0.01, atol=0.0)
    assert (further.value["requests"] > fitted.value["requests"]).all()
    # What a click of a share won is worth, and how clicks saturate over wins, is the same market's.
    for name in ("saturation", "usual_share"):
        torch.testing.assert_close(
            further.value[name] / fitted.value[name],
            (further.value["requests"] / fitted.value["requests"]) ** (1 if name == "saturation" else -1),
        )


def test_impressions_go_on_along_their_power_law(fitted: Market) -> None:
    further = reaching(fitted, 20 * fitted.budget)
    amount = fitted.budget[0] * torch.tensor([[4.0], [8.0], [16.0]]).expand(-1, 4)
    bought = outcome(further, amount).impressions
    step = (bought[1:] / bought[:-1]).log() / np.log(2)
    pieces = fitted.price.shape[-1] - 1
    rise = (fitted.price[0, :, -1] / fitted.price[0, :, pieces // 2]).double().log() / np.log(2)
    torch.testing.assert_close(step, (1 / (1 + rise)).expand(2, -1), rtol=0.01, atol=0.0)
    # The market that was not continued has a wall there.
    walled = outcome(fitted, amount).impressions
    assert (walled[2] / walled[1] < 1.01).all()


def test_the_curve_of_one_campaign_is_continued_and_the_other_keeps_its_own() -> None:
    cells = torch.full((2, 3), 0.7)
    market = make_market(platforms=3)
    value = market.value | {"elasticity": cells, "usual_share": 0.2 * torch.ones(2, 3)}
    market = replace(market, value=value, price=torch.linspace(0, 1, 65).pow(0.25).expand(2, 3, -1).clone())
    further = reaching(market, torch.tensor([1e6, 0.0]))
    assert torch.equal(further.value["requests"][1], market.value["requests"][1])
    amount = torch.tensor([[40.0, 80.0, 20.0]])
    one, other = (outcome(each, amount, 1).revenue for each in (market, further))
    torch.testing.assert_close(one, other)


def test_supply_that_is_known_is_not_continued() -> None:
    market = make_market(platforms=3)
    assert reaching(market, 100 * market.budget) is market
    assert ever(market, 0) is None


def test_a_bundles_table_has_no_wall_at_its_last_amount(fitted: Market) -> None:
    budget = float(fitted.budget[0])
    responder = MarketResponder(fitted, fitted.campaigns[0])
    last, before = (responder(np.ones(4), part * budget) for part in (MOST, MOST / 1.1))
    assert (last.marginal_P > 0.1 * responder(np.ones(4), budget).marginal_P).all()
    assert (last.marginal_se_P > 0).all()
    assert (last.revenue_P > before.revenue_P * 1.02).all()


def test_the_most_that_was_spent_is_that_of_the_largest_week(fitted: Market, tmp_path: Path) -> None:
    history = planted()
    day = history.pivot(index="date", columns="platform", values="spend")[list(fitted.platforms)]
    want = [*day.rolling(7).mean().max(), day.sum(axis=1).rolling(7).mean().max()]
    assert fitted.most[0].tolist() == pytest.approx(want, rel=1e-5)
    save(fitted, tmp_path)
    assert torch.allclose(load(tmp_path).most, fitted.most)
    known = ever(fitted, 0)
    assert known is not None
    assert known.total == pytest.approx(want[-1], rel=1e-5)
    assert rolling(np.array([1.0, 2.0, 6.0]), 2).tolist() == [1.5, 4.0]
    assert rolling(np.array([1.0, 2.0]), 7).tolist() == [1.5]


def test_what_is_beyond_all_weeks_is_named() -> None:
    known = Ever(100.0, (60.0, 50.0, 0.0))
    assert known.beyond(("a", "b", "c"), (60.0, 40.0, 5.0), "It", "EUR") == []
    (line,) = known.beyond(("a", "b", "c"), (250.0, 50.0, 0.0), "It", "EUR")
    assert line.startswith(
        "It is beyond what was ever spent (300.00 where the most in a week was 100.00 EUR a cycle; "
        "a 250.00 where the most in a week was 60.00): "
    )
