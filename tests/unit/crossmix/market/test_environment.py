"""The market as an environment: paired worlds, limits, budgets, delays, bounds of the state."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from crossmix.config import laptop
from crossmix.history import Outcome
from crossmix.market.environment import CarryOver, MarketEnvironment, arrivals, episode_campaigns
from crossmix.market.model import load, save
from tests.support.markets import make_market, of_totals


def _environment(mechanism: str = "counts", seed: int = 1, **change: object) -> MarketEnvironment:
    market = make_market(**{k: v for k, v in change.items() if k in ("maximum", "drift")})  # type: ignore[arg-type]
    if "step" in change:
        market = replace(market, step=torch.full_like(market.step, float(change["step"])))  # type: ignore[arg-type]
    return MarketEnvironment(
        market, laptop(), campaign_B=episode_campaigns(market, 6), cycles=12, mechanism=mechanism, seed=seed
    )


def test_the_same_seed_is_the_same_world_whatever_the_actions() -> None:
    ours, theirs = _environment(), _environment()
    corner = torch.zeros(6, 10)
    corner[:, 0] = 1
    for _ in range(5):
        ours.step(torch.full((6, 10), 0.1))
        theirs.step(corner)
        torch.testing.assert_close(ours.conditions.ctr, theirs.conditions.ctr)
        torch.testing.assert_close(ours.conditions.requests, theirs.conditions.requests)
        torch.testing.assert_close(ours.context_BD, theirs.context_BD)


def test_rows_may_have_parameters_of_their_own() -> None:
    market = make_market()
    cvr = market.value["cvr"][episode_campaigns(market, 6)].clone()
    cvr[4] = 0
    worlds = [
        MarketEnvironment(
            market, laptop(), campaign_B=episode_campaigns(market, 6), cycles=3, mechanism="counts", seed=1, value=value
        )
        for value in (None, {"cvr": cvr})
    ]
    usual, own = (world.step(torch.full((6, 10), 0.1)).outcome.conversions.sum(1) for world in worlds)
    assert own[4] == 0 < usual[4]
    assert (own[[0, 1, 2, 3, 5]] > 0).all()
    assert worlds[1].market is market


def test_another_seed_is_another_world() -> None:
    assert not torch.allclose(_environment(seed=1).conditions.ctr, _environment(seed=2).conditions.ctr)


@pytest.mark.parametrize("mechanism", ["exact", "counts", "expected"])
def test_states_are_finite_and_episodes_end(mechanism: str) -> None:
    environment = _environment(mechanism)
    for cycle in range(12):
        step = environment.step(torch.full((6, 10), 0.1))
        assert torch.isfinite(step.observation.state_BS).all()
        assert torch.isfinite(step.reward_B).all()
        assert step.done == (cycle == 11)


def test_actions_are_projected_onto_the_limits_and_steps() -> None:
    environment = _environment(maximum=0.35, step=0.05)
    corner = torch.zeros(6, 10)
    corner[:, 3] = 1
    before = environment.history.share_BP
    step = environment.step(corner)
    assert float((step.share_BP - before).abs().max()) <= 0.05 + 1e-5 or float(before.max()) > 0.35
    assert float(step.share_BP.max()) <= 0.4 + 1e-5
    torch.testing.assert_close(step.share_BP.sum(1), torch.ones(6))


def test_unspent_budget_returns() -> None:
    environment = _environment("expected")
    plan = environment.budget_B.clone()
    torch.testing.assert_close(environment.cycle_budget_B(), plan)
    waste = torch.zeros(6, 10)
    waste[:, 0] = 1  # far more than one platform can spend
    step = environment.step(waste)
    left = plan * 12 - step.outcome.spend.sum(1)
    torch.testing.assert_close(environment.cycle_budget_B(), left / 11)


def test_revenue_arrives_by_the_delays_law() -> None:
    environment = _environment("expected", drift=0.0)
    for _ in range(4):
        step = environment.step(environment.static_BP)
    # In a steady state what arrives in a cycle is what a cycle earns, up to price and volume noise.
    arrived = environment.history.past(0)[3].sum()
    assert float(arrived) == pytest.approx(float(step.outcome.revenue.sum()), rel=0.25)


def test_a_market_survives_its_file(tmp_path) -> None:
    market = replace(make_market(), path={"level": torch.rand(3, 2, 10)})
    save(market, tmp_path)
    again = load(tmp_path)
    assert again.platforms == market.platforms
    for name, table in market.value.items():
        torch.testing.assert_close(again.value[name], table, rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(again.price, market.price, rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(again.path["level"], market.path["level"])


def test_an_unknown_mechanism_is_named() -> None:
    with pytest.raises(ValueError, match="'sampled' is unknown; use one of exact, counts, expected"):
        _environment("sampled")


def _carrying(mechanism: str = "expected", **carry: float) -> MarketEnvironment:
    base = laptop()
    return MarketEnvironment(
        make_market(drift=0.0),
        replace(base, market=replace(base.market, **carry)),
        campaign_B=episode_campaigns(make_market(), 6),
        cycles=12,
        mechanism=mechanism,
        seed=1,
    )


def test_without_carry_over_the_past_moves_nothing() -> None:
    ours, theirs = _carrying(), _carrying(fatigue=0.0, adstock=0.9, adstock_lift=0.0)
    for _ in range(3):
        ours.step(torch.full((6, 10), 0.1))
        theirs.step(torch.full((6, 10), 0.1))
    torch.testing.assert_close(ours.conditions.ctr, theirs.conditions.ctr)
    torch.testing.assert_close(ours.conditions.cvr, theirs.conditions.cvr)


def test_fatigue_and_adstock_follow_their_recursions() -> None:
    """fatigue = sum phi^k f_{t-k}, stock = sum theta^(k-1) f_{t-k}: from the outcomes, warm-up included."""
    phi, theta, lift = 0.6, 0.7, 0.5
    plain, carrying = _carrying(), _carrying(fatigue=phi, adstock=theta, adstock_lift=lift)
    start = carrying.carried
    exposure = []
    for _ in range(4):
        step = carrying.step(torch.full((6, 10), 0.1))
        plain.step(torch.full((6, 10), 0.1))
        exposure.append(step.outcome.impressions / step.outcome.requests)
    fatigue = phi**4 * start.fatigue_BP + sum(phi ** (4 - t) * f for t, f in enumerate(exposure))
    stock = theta**4 * start.stock_BP + sum(theta ** (3 - t) * f for t, f in enumerate(exposure))
    torch.testing.assert_close(carrying.carried.fatigue_BP, fatigue)
    torch.testing.assert_close(carrying.carried.stock_BP, stock)
    tired = torch.exp(-carrying.parameter["saturation"] * fatigue)
    torch.testing.assert_close(carrying.conditions.ctr, (plain.conditions.ctr * tired).clamp(max=0.95))
    primed = 1 + lift * (1 - theta) * stock
    torch.testing.assert_close(carrying.conditions.cvr, (plain.conditions.cvr * primed).clamp(max=1))


def test_lasting_full_exposure_lifts_conversions_by_the_lift() -> None:
    settings = replace(laptop().market, adstock=0.7, adstock_lift=0.5)
    full = torch.full((1, 1), 100.0)
    outcome = Outcome(full, full, full, full, full, full, full)
    carried = CarryOver(torch.zeros(1, 1), torch.zeros(1, 1))
    for _ in range(60):
        carried = carried.after(outcome, settings)
    assert float(carried.conversion_factor(settings)) == pytest.approx(1.5, abs=1e-4)


def test_a_tired_audience_is_worth_resting() -> None:
    """With fatigue, a platform that was idle answers better than one that was used."""
    environment = _carrying(fatigue=0.8)
    corner = torch.zeros(6, 10)
    corner[:, 0] = 1
    for _ in range(8):
        environment.step(corner)
    factor = environment.carried.click_factor(environment.parameter["saturation"])
    assert (factor[:, 0] < factor[:, 1:].amin(1)).all()


@pytest.mark.parametrize("mechanism", ["exact", "counts"])
def test_whole_conversions_arrive_on_a_day_of_their_own_with_their_revenue(mechanism: str) -> None:
    """What a cycle gives is the same, when it becomes known is not: by the delay's law, in whole numbers."""
    market, days = make_market(), 30
    environments = [
        MarketEnvironment(
            market,
            laptop(),
            campaign_B=episode_campaigns(market, 8),
            cycles=days,
            mechanism=mechanism,
            seed=3,
            whole=whole,
        )
        for whole in (True, False)
    ]
    share, given, arrived = torch.full((8, 10), 0.1), torch.zeros(2, 2), torch.zeros(2, 2)
    for k, environment in enumerate(environments):
        given[k] = environment.pending_DBP.sum((1, 2, 3))
        for _ in range(days):
            outcome = environment.step(share).outcome
            given[k] += torch.stack([outcome.conversions.sum(), outcome.revenue.sum()])
            arrived[k] += environment.history.past(0)[2:4].sum((1, 2))
        arrived[k] += environment.pending_DBP.sum((1, 2, 3))
    torch.testing.assert_close(given[0], given[1], rtol=0.003, atol=0)
    torch.testing.assert_close(arrived, given, rtol=1e-4, atol=0)
    whole, smeared = (environment.pending_DBP[0] for environment in environments)
    assert torch.equal(whole, whole.round())
    assert not torch.equal(smeared, smeared.round())
    # Of the last cycle's conversions 0.4 are still due, of the one before 0.1.
    assert float(whole.sum()) == pytest.approx(float(smeared.sum()), rel=0.25)


def test_arrivals_are_multinomial_and_keep_both_totals() -> None:
    generator = torch.Generator().manual_seed(0)
    count = torch.full((20_000, 1), 6.0)
    outcome = Outcome(*(7 * [count]))
    delay_DBP = torch.tensor([0.5, 0.3, 0.2])[:, None, None].expand(3, 20_000, 1)
    came, revenue = arrivals(outcome, delay_DBP, torch.full_like(count, 0.4), generator)
    torch.testing.assert_close(came.sum(0), count)
    torch.testing.assert_close(revenue.sum(0), count)
    torch.testing.assert_close(came.mean((1, 2)), torch.tensor([3.0, 1.8, 1.2]), atol=0.03, rtol=0)
    torch.testing.assert_close(came.var((1, 2)), torch.tensor([1.5, 1.26, 0.96]), atol=0.05, rtol=0)
    # No conversion, no revenue; one brings its share.
    assert not revenue[came == 0].any()
    torch.testing.assert_close(revenue[0][came[0] == 3].mean(), torch.tensor(3.0), atol=0.03, rtol=0)


def test_expected_conversions_cannot_arrive_whole() -> None:
    with pytest.raises(ValueError, match=r"whole: expected conversions are no whole numbers; use .*counts or exact"):
        MarketEnvironment(
            make_market(), laptop(), campaign_B=torch.arange(2), cycles=3, mechanism="expected", seed=0, whole=True
        )


@pytest.mark.parametrize("whole", [False, True])
def test_an_account_of_which_totals_were_fitted_ran_before_its_first_cycle(whole: bool) -> None:
    """Conversions of clicks of then are due: from the first cycle on as many come as cause them, none twice."""
    still = ("ctr_drift", "cvr_drift", "price_drift", "requests_sd")
    market = of_totals(make_market())
    value = market.value | {name: torch.zeros_like(market.value[name]) for name in still}
    law = 0.8 ** torch.arange(20.0)
    delay = (law / law.sum()).expand(2, 10, 20).clone()
    market = replace(market, value=value, delay=delay, volume_week=torch.ones_like(market.volume_week))
    rows = episode_campaigns(market, 200)
    environment = MarketEnvironment(
        market, laptop(), campaign_B=rows, cycles=12, mechanism="counts", seed=3, whole=whole
    )
    came, caused = [], []
    for _ in range(12):
        caused.append(environment.step(environment.static_BP).outcome)
        came.append(environment.history.past(0)[2:4].clone())
    conversions_T = torch.stack([one[0] for one in came]).sum((1, 2))
    steady = float(torch.stack([one.conversions for one in caused]).sum() / 12)
    np.testing.assert_allclose(conversions_T.numpy() / steady, 1, atol=0.05)
    revenue = float(torch.stack([one[1] for one in came]).sum() / torch.stack([one.revenue for one in caused]).sum())
    assert revenue == pytest.approx(1, abs=0.05)
    if whole:
        assert bool((torch.stack([one[0] for one in came]) % 1 == 0).all())


def test_a_flight_of_single_impressions_begins_with_what_its_own_warm_up_brings() -> None:
    """As it ever did: nothing is due but of the cycles that were played."""
    late = torch.zeros(2, 10, 41)
    late[..., 40] = 1.0
    market = replace(make_market(), delay=late)
    environment = MarketEnvironment(
        market, laptop(), campaign_B=episode_campaigns(market, 4), cycles=3, mechanism="counts", seed=3
    )
    environment.step(environment.static_BP)
    assert float(environment.history.past(0)[2].sum()) == 0.0
