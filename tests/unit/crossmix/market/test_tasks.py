"""Tasks: the market times its strata, reproducible and disjoint, played and saved like any market."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from crossmix.config import ConfigError, laptop
from crossmix.market import tasks
from crossmix.market.environment import MarketEnvironment, episode_campaigns
from crossmix.market.fit.strata import QUANTITIES, Effects, Strata
from crossmix.market.model import Market, load, save
from tests.support.markets import make_market

K = 7
"""Periods."""


def _effects(period: np.ndarray, region: np.ndarray, cell: np.ndarray) -> Effects:
    return Effects(period, region, cell, period * 0 + 0.01, region * 0 + 0.01, cell * 0 + 0.01, {})


def _market_with_strata(**change: Any) -> Market:
    rng = np.random.default_rng(7)
    found = Strata(
        tuple(f"week{k}" for k in range(K)),
        ("north", "south", "nowhere"),
        {
            name: _effects(
                0.2 * rng.standard_normal((K, 2, 6)),
                0.2 * rng.standard_normal((3, 6)) * [[1], [1], [0]],
                0.1 * rng.standard_normal((K, 3, 6)) * [[1], [1], [0]],
            )
            for name in QUANTITIES
        },
    )
    return replace(make_market(platforms=6), strata=found.plain(), **change)


def test_a_task_is_the_market_times_its_stratum_on_its_platforms() -> None:
    market = _market_with_strata()
    made = tasks.task(market, period="week3", region="south", platforms=["p1", "p4"])
    table = Strata.of(market.strata).multipliers(3, 1)
    here = torch.tensor([name in ("p1", "p4") for name in market.platforms])
    for name in ("requests", "ctr", "cvr", "value"):
        ratio = made.market.value[name] / market.value[name]
        factor = torch.tensor(table[name][0], dtype=torch.float32)
        torch.testing.assert_close(ratio[:, here], factor[:, here])
        torch.testing.assert_close(ratio[:, ~here], torch.ones(2, 4))
        # Relative errors add in squares: 2 % of the market's (see `make_market`), 3 x 0.01^2 of the stratum's.
        relative = made.market.error[name] / made.market.value[name].abs()
        torch.testing.assert_close(relative[:, here], torch.full((2, 2), (0.02**2 + 3 * 0.01**2) ** 0.5))
    level = torch.tensor(table["level"][0], dtype=torch.float32)[..., None]
    torch.testing.assert_close(made.market.price[:, here], (market.price * level)[:, here])
    torch.testing.assert_close(made.market.price[:, ~here], market.price[:, ~here])
    assert made.market.budget is market.budget
    with pytest.raises(ConfigError, match="this market has none"):
        tasks.task(made.market, period="week1")


def test_a_lognormal_price_is_as_much_dearer_as_an_empirical_one() -> None:
    market = _market_with_strata(price_kind="lognormal", price=torch.rand(2, 6, 2) + 0.3)
    made = tasks.task(market, period="week2").market
    everyone = torch.arange(2)
    ratio = made.prices(everyone).mean() / market.prices(everyone).mean()
    expected = Strata.of(market.strata).multipliers(2, None)["level"][0]
    torch.testing.assert_close(ratio, torch.tensor(expected, dtype=torch.float32))


def test_tasks_are_reproducible_distinct_and_disjoint() -> None:
    market = _market_with_strata()
    ours, again, others = (tasks.tasks(market, seed=seed) for seed in (1, 1, 2))
    assert [item.name for item in ours.train + ours.held_out] == [item.name for item in again.train + again.held_out]
    assert [item.name for item in ours.train] != [item.name for item in others.train]
    assert (len(ours.train), len(ours.held_out)) == (50, 20)
    assert len({item.name for item in ours.train + ours.held_out}) == 70
    logs = torch.stack(
        [torch.cat([x.market.value["ctr"], x.market.value["requests"].log()]) for x in ours.train + ours.held_out]
    ).flatten(1)
    apart = torch.cdist(logs, logs, p=float("inf")) + torch.eye(70)
    assert float(apart.min()) > 0

    def periods(items: tuple[tasks.Task, ...]) -> set[str | None]:
        return {part.period for item in items for part in item.strata}

    assert len(periods(ours.train)) == 4
    assert len(periods(ours.held_out)) == 3
    assert not periods(ours.train) & periods(ours.held_out)
    seen = {part.region for item in ours.train for part in item.strata}
    assert seen == {None, "north", "south"}  # a region that differs in nothing is no task
    for item in ours.train:
        assert sorted(name for part in item.strata for name in part.platforms) == sorted(market.platforms)


def test_a_drawn_task_has_the_parameters_of_its_strata() -> None:
    market = _market_with_strata()
    drawn = tasks.tasks(market, train=5, held_out=1).train
    for item in drawn:
        for part in item.strata:
            alone = tasks.task(market, period=part.period, region=part.region, platforms=part.platforms).market
            here = torch.tensor([name in part.platforms for name in market.platforms])
            for name in ("requests", "ctr", "cvr", "value"):
                torch.testing.assert_close(item.market.value[name][:, here], alone.value[name][:, here])
            torch.testing.assert_close(item.market.price[:, here], alone.price[:, here])


def test_terciles_order_platforms_by_what_they_say() -> None:
    market = _market_with_strata()
    low, middle, high = (tasks.terciles(market)["volume"][name] for name in tasks.TERCILES)
    mean = dict(zip(market.platforms, market.value["requests"].mean(0).tolist(), strict=True))
    assert max(mean[name] for name in low) <= min(mean[name] for name in middle)
    assert max(mean[name] for name in middle) <= min(mean[name] for name in high)
    assert sorted(low + middle + high) == sorted(market.platforms)
    assert list(tasks.terciles(make_market(platforms=2))["price"]) == ["low", "middle"]


def test_a_task_is_played_saved_and_loaded_like_any_market(tmp_path) -> None:
    item = tasks.tasks(_market_with_strata(), train=1, held_out=1).held_out[0]
    save(item.market, tmp_path)
    again = load(tmp_path)
    assert again.scenario == item.market.scenario
    assert again.scenario["task"]["name"] == item.name
    environment = MarketEnvironment(
        again, laptop(), campaign_B=episode_campaigns(again, 4), cycles=3, mechanism="counts", seed=0
    )
    step = environment.step(torch.full((4, 6), 1 / 6))
    assert torch.isfinite(step.observation.state_BS).all()
    assert float(step.outcome.revenue.sum()) > 0


def test_strata_survive_the_markets_file(tmp_path) -> None:
    market = _market_with_strata()
    save(market, tmp_path)
    assert load(tmp_path).strata == market.strata


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: tasks.task(m, period="week9"), "period: 'week9' is not in the market's log; use one of week0, "),
        (lambda m: tasks.task(m, region="moon"), "region: 'moon' is not in the market's log; use one of north, south"),
        (lambda m: tasks.task(m, platforms=["p7"]), "platforms: 'p7' is not on this market; use one or more of p0, "),
        (lambda m: tasks.tasks(m, fraction=1.0), "fraction: 1.0 of the periods cannot be held out"),
        (lambda m: tasks.tasks(m, held_out=10_000), "held_out: 10000 tasks are not to be had; the log has 189 "),
        (lambda m: tasks.tasks(replace(m, strata={})), "strata: this market has none"),
    ],
)
def test_what_the_log_does_not_have_is_refused(call: Any, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        call(_market_with_strata())
    assert message in str(error.value)
