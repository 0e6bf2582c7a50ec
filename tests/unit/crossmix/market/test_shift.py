"""Named scenarios: their course over a flight, paired worlds, three fidelities that agree, and what they refuse."""

import json
import math
from dataclasses import fields, replace
from typing import Any

import pytest
import torch

from crossmix.config import ConfigError, laptop
from crossmix.history import Outcome
from crossmix.market.conditions import STORED, nominal
from crossmix.market.environment import MECHANISMS, MarketEnvironment, episode_campaigns
from crossmix.market.mechanism import counts, exact, expected
from crossmix.market.model import Market, load, save
from crossmix.market.oracle import solve
from crossmix.market.shift import PARAMETERS, SCENARIOS, Schedule, shift, shifts
from tests.support.markets import make_market

P = 4
DELIVERED = ("impressions", "clicks", "conversions", "revenue", "spend")


def _market(**change: Any) -> Market:
    return make_market(platforms=P, campaigns=1, **change)


def _environment(market: Market, mechanism: str = "counts", rows: int = 5) -> MarketEnvironment:
    return MarketEnvironment(
        market, laptop(), campaign_B=episode_campaigns(market, rows), cycles=12, mechanism=mechanism, seed=3
    )


def _uniform(rows: int = 5) -> torch.Tensor:
    return torch.full((rows, P), 1 / P)


def test_a_shift_arrives_stays_and_leaves_in_even_steps_of_the_logarithm() -> None:
    market = shift(_market(), "price_shock", platforms="p1", size=16.0, start=2, ramp=3, duration=2)
    (item,) = shifts(market)
    powers = [0, 0, 0, 1, 2, 3, 4, 4, 3, 2, 1, 0, 0]
    assert [item.factor("level", cycle) for cycle in range(-1, 12)] == pytest.approx([2.0**n for n in powers])
    assert [item.factor("ctr", cycle) for cycle in range(-1, 12)] == [1.0] * 13
    for_good = shift(_market(), "holiday", size=1, start=2, duration=math.inf)
    assert [shifts(for_good)[0].factor("requests", t) for t in (-20, 1, 2, 1_000)] == pytest.approx([1, 1, 1.4, 1.4])
    assert [shifts(shift(_market(), "holiday"))[0].weight(t) for t in (-1, 0, 6, 7)] == [0, 1, 1, 0]


def test_a_ramp_to_or_from_nothing_is_even_in_the_number_itself() -> None:
    (gone,) = shifts(shift(_market(), "outage", platforms="p0", ramp=3, duration=1))
    assert [gone.factor("requests", t) for t in range(-1, 8)] == pytest.approx(
        [1, 0.75, 0.5, 0.25, 0, 0.25, 0.5, 0.75, 1]
    )
    (new,) = shifts(shift(_market(), "new_platform", platforms="p0", start=2, ramp=1, size=2.0))
    assert [new.factor("requests", t) for t in (-20, 1, 2, 3, 50)] == pytest.approx([0, 0, 1, 2, 2])
    assert [shifts(shift(_market(), "ramp"))[0].weight(t) for t in (-1, 0, 6, 7, 90)] == [0, 1 / 8, 7 / 8, 1, 1]


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_same_seed_is_the_same_world_with_and_without_a_shift(name: str) -> None:
    market = _market()
    plain, moved = _environment(market), _environment(shift(market, name, start=1))
    schedule = Schedule(shift(market, name, start=1))
    if name != "new_platform":  # which is not there in the warm-up either
        torch.testing.assert_close(moved.history.ring_WQBP, plain.history.ring_WQBP, rtol=0, atol=0)
    for cycle in range(6):
        factor = {parameter: schedule.factor_P(parameter, cycle) for parameter in PARAMETERS}
        assert torch.equal(moved.world.get_state(), plain.world.get_state())
        assert torch.equal(moved.context_BD, plain.context_BD)
        for drift in ("ctr", "cvr", "price"):
            assert torch.equal(moved.drift[drift], plain.drift[drift])
        for parameter in ("level", "ctr", "cvr", "value"):
            table = STORED.get(parameter, parameter)
            torch.testing.assert_close(
                getattr(moved.conditions, table), getattr(plain.conditions, table) * factor[parameter]
            )
        # Requests are Poisson around the shifted mean: off in proportion by what one standard deviation allows.
        scaled = plain.conditions.requests * factor["requests"]
        assert ((moved.conditions.requests - scaled).abs() <= 4 * scaled.sqrt() + 1).all()
        assert torch.equal(moved.conditions.requests[:, factor["requests"] == 1], scaled[:, factor["requests"] == 1])
        plain.step(_uniform())
        moved.step(_uniform())
    full = {(cycle, parameter): schedule.factor_P(parameter, cycle) for cycle in (0, 1) for parameter in PARAMETERS}
    assert any(not torch.equal(factor, torch.ones(P)) for factor in full.values())


def test_volume_under_a_shift_is_poisson_around_the_shifted_mean() -> None:
    """Without other noise: mean and variance of the requests are both the factor times the base mean."""
    market = _market(drift=0.0)
    market.value["requests_sd"].zero_()
    market = replace(market, volume_week=torch.ones_like(market.volume_week))
    rows = 4_000
    requests = _environment(shift(market, "holiday", size=4.0), rows=rows).conditions.requests
    mean = 1.4**4 * market.value["requests"][0]
    assert ((requests.mean(0) - mean).abs() < 4 * (mean / rows).sqrt()).all()
    assert ((requests.var(0) / mean - 1).abs() < 4 * (2 / rows) ** 0.5).all()


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_three_fidelities_agree_under_every_scenario(name: str) -> None:
    """Means within five standard errors of the auctions' mean, or half a percent, as without a shift."""
    rows = 500
    environment = _environment(shift(_market(), name, ramp=0), "exact", rows)
    conditions = environment.conditions
    budget = environment.budget_B[:, None] * _uniform(rows)
    judged = exact(conditions, budget, torch.Generator().manual_seed(1))
    drawn = counts(conditions, budget, torch.Generator().manual_seed(2))
    closed = expected(conditions, budget)
    for quantity in DELIVERED:
        truth = getattr(judged, quantity)
        for other, factor in ((closed, 1.0), (drawn, 1.5)):
            difference = getattr(other, quantity) - truth
            allowed = 5 * difference.std(0) / rows**0.5 + 0.005 * truth.mean(0)
            assert (difference.mean(0).abs() <= factor * allowed + 1e-9).all(), quantity


@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("everywhere", [False, True])
def test_an_outage_delivers_nothing_and_everything_stays_finite(mechanism: str, everywhere: bool) -> None:
    market = _market()
    names = market.platforms if everywhere else ("p2",)
    environment = _environment(shift(market, "outage", platforms=names, start=1, duration=2), mechanism)
    dark = torch.tensor([name in names for name in market.platforms])
    for cycle in range(5):
        down = cycle in (1, 2)
        best = solve(environment.conditions, environment.cycle_budget_B(), *environment.box())
        assert torch.isfinite(best.share_BP).all()
        assert torch.isfinite(best.kkt_B).all()
        torch.testing.assert_close(best.share_BP.sum(1), torch.ones(5))
        if down and not everywhere:
            assert float(best.share_BP[:, dark].max()) < 1e-5
        assert bool((environment.conditions.requests[:, dark] == 0).all()) == down
        step = environment.step(_uniform())
        for quantity in DELIVERED:
            amount = getattr(step.outcome, quantity)
            assert torch.isfinite(amount).all(), quantity
            # The closed form floors a spend at the supply's numerical floor, 1e-12.
            assert (float(amount[:, dark].max()) <= 1e-9) == down, quantity
        if not everywhere:
            assert (step.outcome.spend[:, ~dark] > 0).all()
        assert torch.isfinite(step.observation.state_BS).all()
        assert torch.isfinite(step.reward_B).all()


def test_a_new_platform_has_no_past() -> None:
    environment = _environment(shift(_market(), "new_platform", platforms="p2", start=2))
    fields_BP = environment.history.statistics(environment.weekday_B)[0]
    others = [0, 1, 3]
    # Utilisation, windowed ROI, CTR and win rate of the warm-up.
    assert (fields_BP[:, 2, [2, 3, 5, 7]] == 0).all()
    assert (fields_BP[:, others][..., [2, 5, 7]] > 0).all()
    wins = [environment.step(_uniform()).outcome.impressions[:, 2] for _ in range(4)]
    assert (torch.stack(wins[:2]) == 0).all()
    assert (torch.stack(wins[2:]) > 0).all()


def test_scenarios_compose_and_leave_the_market_alone() -> None:
    market = _market()
    both = shift(shift(market, "price_shock", platforms="p1", size=2.0), "holiday", platforms=["p1", "p3"], start=3)
    assert market.scenario == {}
    assert [item.name for item in shifts(both)] == ["price_shock", "holiday"]
    schedule = Schedule(both)
    torch.testing.assert_close(schedule.factor_P("level", 2), torch.tensor([1.0, 2.0, 1.0, 1.0]))
    torch.testing.assert_close(schedule.factor_P("level", 3), torch.tensor([1.0, 2.5, 1.0, 1.25]))
    for item in fields(market):
        if item.name != "scenario":
            assert getattr(both, item.name) is getattr(market, item.name)


def test_defaults_fall_where_the_money_is() -> None:
    market = make_market(seed=5)
    conditions = replace(
        nominal(market, torch.arange(2), torch.zeros(2, dtype=torch.long)), requests=market.value["requests"]
    )
    budget = market.budget[:, None] * solve(conditions, market.budget, market.minimum, market.maximum).share_BP
    outcome: Outcome = expected(conditions, budget)
    spend, revenue = outcome.spend.sum(0), outcome.revenue.sum(0)
    most = market.platforms[int(spend.argmax())]
    for name in ("ctr_collapse", "outage", "new_platform", "cvr", "requests", "gone"):
        assert shifts(shift(market, name))[0].platforms == (most,)
    for name in ("price_shock", "ramp", "all"):
        index = [market.platforms.index(platform) for platform in shifts(shift(market, name))[0].platforms]
        chosen = revenue[index]
        assert float(chosen.sum()) >= 0.5 * float(revenue.sum()) > float(chosen.sum() - chosen.min())
        assert float(chosen.min()) >= float(revenue[[p for p in range(10) if p not in index]].max())
    for name in ("holiday", "value"):
        assert shifts(shift(market, name))[0].platforms == market.platforms


@pytest.mark.parametrize(
    ("name", "moved"),
    [
        ("cvr", {"cvr"}),
        ("value", {"value"}),
        ("requests", {"requests"}),
        ("all", {"requests", "ctr", "cvr", "value"}),
        ("gone", {"requests"}),
    ],
)
def test_a_lasting_move_is_of_what_it_says_and_never_ends(name: str, moved: set[str]) -> None:
    size = 0.0 if name == "gone" else 1.7
    (item,) = shifts(shift(_market(), name, platforms=["p0", "p3"], size=size, start=4))
    for parameter in PARAMETERS:
        course = [item.factor(parameter, cycle) for cycle in (-20, 3, 4, 5_000)]
        assert course == pytest.approx([1, 1, size, size] if parameter in moved else [1, 1, 1, 1])


def test_a_scenario_is_told_to_nobody_but_the_environment() -> None:
    market = _market()
    moved = shift(market, "holiday")
    campaign, weekday = torch.zeros(3, dtype=torch.long), torch.tensor([0, 3, 6])
    for name in ("requests", "price_multiplier", "ctr", "cvr", "value"):
        assert torch.equal(
            getattr(nominal(moved, campaign, weekday), name), getattr(nominal(market, campaign, weekday), name)
        )


def test_a_shifted_market_survives_its_file(tmp_path) -> None:
    market = shift(shift(_market(), "new_platform", start=4, ramp=2), "outage", platforms="p1", duration=math.inf)
    json.dumps(market.scenario, allow_nan=False)
    save(market, tmp_path)
    again = load(tmp_path)
    assert again.scenario == market.scenario
    assert shifts(again) == shifts(market)
    ours, theirs = _environment(market), _environment(again)
    for _ in range(6):
        torch.testing.assert_close(theirs.conditions.requests, ours.conditions.requests)
        ours.step(_uniform())
        theirs.step(_uniform())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "meteor"}, "scenario: 'meteor' is unknown; use one of price_shock, "),
        ({"platforms": ["p0", "p9"]}, "platforms: 'p9' is not on this market; use one or more of p0, p1, p2, p3"),
        ({"platforms": []}, "platforms: none is named; use one or more of p0, p1, p2, p3"),
        (
            {"size": -1.0},
            "size of price_shock: -1.0 is out of range; give the factor on prices, from 0.01 to 100",
        ),
        ({"size": math.nan}, "size of price_shock: nan is out of range"),
        ({"size": "big"}, "size of price_shock: 'big' is out of range"),
        (
            {"name": "outage", "size": 1.5},
            "size of outage: 1.5 is out of range; give the factor of the requests that is left, from 0 to 1",
        ),
        ({"start": -1}, "start: -1 is not a whole number of cycles; give 0 or more"),
        ({"start": 1.5}, "start: 1.5 is not a whole number of cycles"),
        ({"ramp": -7}, "ramp: -7 is not a whole number of cycles; give 0 or more"),
        ({"ramp": True}, "ramp: True is not a whole number of cycles"),
        ({"duration": 0}, "duration: 0 is not a whole number of cycles; give 1 or more"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        shift(_market(), **{"name": "price_shock", **change})
    assert message in str(error.value)
