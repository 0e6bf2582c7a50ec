"""Levels of a fitted market: quiet flights stay quiet, lasting moves are found, what tells nothing moves nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from crossmix.config import Levels as Law
from crossmix.evaluate.watch.flights import fly, static
from crossmix.feedback import AMOUNTS, Feedback
from crossmix.market.conditions import scaled_market
from crossmix.market.level_evidence import Usual
from crossmix.market.levels import (
    QUANTITIES,
    Followed,
    Residuals,
    State,
    advance,
    begin,
    believed,
    follow,
    pass_cycle,
    refit,
    start,
    walk,
)
from crossmix.market.model import Market
from crossmix.market.shift import shift
from tests.support import watching
from tests.support.flights import even_market, flown, moved_from
from tests.support.markets import of_totals

FLIGHTS = 50
EVEN = ("p0", "p2", "p4", "p6", "p8")


@pytest.fixture(scope="module")
def market() -> Market:
    return even_market(FLIGHTS)


@pytest.fixture(scope="module")
def feedback(market: Market) -> Feedback:
    return flown(market, 60, seed=31)


@pytest.fixture(scope="module")
def quiet(market: Market, feedback: Feedback) -> Followed:
    return follow(market, feedback, Law())


def of(quantity: str, table: np.ndarray) -> np.ndarray:
    return table[..., QUANTITIES.index(quantity)]


# ---- what ran before ----


def test_conversions_of_clicks_before_the_first_cycle_are_no_surprise_of_an_account_that_ran() -> None:
    """Of a week's delay nearly all that comes on the first day was clicked before."""
    law = 0.875 ** torch.arange(40.0)
    made = watching.market()
    late = replace(of_totals(made), delay=(law / law.sum()).expand(2, 3, 40).clone())
    (seen,) = fly(watching.small(), late, [(static, 1.0)], flights=20, cycles=40, seed=11)
    rows = torch.arange(40) % 2
    z = of("cvr", walk(Usual.of(late, rows), Law(), seen).residuals.z_TCPQ)
    assert np.abs(np.nanmean(z[:7])) < 0.3
    assert np.nanstd(z[:7]) < 1.3
    assert Usual.of(late).clicks_before != 0
    assert Usual.of(made).clicks_before == 0


# ---- quiet -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("quantity", QUANTITIES)
def test_quiet_residuals_are_standard_and_know_nothing_of_each_other(quiet: Followed, quantity: str) -> None:
    """30,000 of them, after the first cycles, in which the clicks before the first are not known."""
    z = of(quantity, quiet.residuals.z_TCPQ)[5:]
    assert np.isfinite(z).mean() > (0.9 if quantity == "value" else 0.999)
    assert abs(np.nanmean(z)) < 0.04
    assert 0.9 < np.nanvar(z) < 1.1
    assert abs(np.nanmean(z[1:] * z[:-1])) / np.nanvar(z) < 0.1
    # Few counts give no absurd figures: about 5 sigma is the largest of so many.
    assert np.nanmax(np.abs(z)) < 6.5


@pytest.mark.parametrize("quantity", QUANTITIES)
def test_quiet_residuals_add_up_over_campaigns(quiet: Followed, quantity: str) -> None:
    """Observed less expected, summed over an advertiser's campaigns, has the summed variance."""
    told = quiet.residuals
    gap = np.nansum(of(quantity, told.observed_TCPQ - told.expected_TCPQ)[5:], 1)
    z = gap / np.sqrt(np.nansum(of(quantity, told.variance_TCPQ)[5:], 1))
    assert abs(z.mean()) < 0.25
    assert 0.8 < z.var() < 1.25
    assert abs(gap.sum()) < 0.01 * np.nansum(of(quantity, told.expected_TCPQ)[5:])


@pytest.mark.parametrize("quantity", QUANTITIES)
def test_in_quiet_the_level_stays_where_it_was_fitted(quiet: Followed, quantity: str) -> None:
    belief, q = believed(quiet.state, Law()), QUANTITIES.index(quantity)
    within = belief.level[q].abs() < 2 * belief.level2[q].sqrt()
    assert float(within.double().mean()) >= 0.95
    assert float((belief.moved[q] > 0.5).double().mean()) < 0.02
    assert float(belief.moved[q].mean()) < 0.05


def test_smeared_arrivals_leave_correlated_residuals(market: Market) -> None:
    """Why simulated loops let conversions arrive whole: parts of one draw come day after day."""
    told = follow(market, flown(market, 25, seed=32, whole=False), Law()).residuals
    z = of("cvr", told.z_TCPQ)[5:]
    assert np.mean(z[1:] * z[:-1]) / z.var() > 0.4


# ---- moves -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("quantity", "parameter", "factor"),
    [("cvr", "cvr", 0.5), ("value", "value", 0.6), ("requests", "requests", 2.0), ("price", "level", 1.5)],
)
def test_a_lasting_move_is_found_within_its_own_error(
    market: Market, quantity: str, parameter: str, factor: float
) -> None:
    """By day 40, moved on day 20; prices drift by a quarter of what they move by: see the next test."""
    still = market.value | {"price_drift": torch.full_like(market.value["cvr"], 0.08)}
    calm = replace(market, value=still, budget=2 * market.budget)
    feedback = flown(moved_from(calm, 20, EVEN, {parameter: factor}), 41, seed=33)
    fresh = refit(calm, feedback, Law())
    many = feedback.conversions_TCP[:20].mean(0) >= (8 if quantity == "cvr" else 4)
    even = np.broadcast_to(np.arange(10) % 2 == 0, many.shape)
    assert (many & even).sum() > 50
    gap = of(quantity, fresh.level_CPQ) - np.where(even, np.log(factor), 0.0)
    within, moved = np.abs(gap) < 2 * of(quantity, fresh.error_CPQ), of(quantity, fresh.moved_CPQ) > 0.5
    # The rest has not come to believe it yet: in its error the odds count, not what they may become.
    assert within[many & even].mean() >= 0.87
    assert moved[many & even].mean() >= 0.85
    assert abs(gap[many & even].mean()) < 0.12
    assert within[~even].mean() >= 0.95
    assert moved[~even].mean() < 0.03


def test_a_move_of_the_drifts_own_size_is_followed_as_drift(market: Market) -> None:
    """Prices that drift by 0.2 are as they are, x1.5: level and drift together say so."""
    fresh = refit(market, flown(moved_from(market, 20, EVEN, {"level": 1.5}), 41, seed=33), Law())
    believed_log = of("price", fresh.level_CPQ + fresh.drift_CPQ)[:, ::2]
    assert abs(believed_log.mean() - np.log(1.5)) < 0.08
    assert (of("price", fresh.moved_CPQ)[:, ::2] > 0.5).mean() < 0.5


def test_a_jump_is_a_surprise_on_its_first_day(market: Market) -> None:
    told = follow(market, flown(moved_from(market, 20, EVEN, {"level": 1.5}), 21, seed=34), Law()).residuals
    day = told.z_TCPQ[20][..., QUANTITIES.index("price")]
    assert day[:, ::2].mean() > 3
    assert abs(day[:, 1::2].mean()) < 0.2


FACTORS = {"requests": 2.0, "price_multiplier": 0.5, "ctr": 0.5, "cvr": 2.0, "value": 0.5}


def test_a_refit_gives_the_true_parameters_back_within_the_errors_it_tells(market: Market) -> None:
    """A market wrong by a factor 2 in everything, by turns up and down the platforms; 60 cycles."""
    sign = torch.where(torch.arange(10) % 2 == 0, 1.0, -1.0)
    world = scaled_market(market, **{name: factor**sign for name, factor in FACTORS.items()})
    feedback = flown(world, 60, seed=35)
    fresh = refit(market, feedback, Law())
    many = feedback.conversions_TCP.sum(0) >= 50
    assert many.mean() > 0.8
    for name, near in (("requests", 0.05), ("cvr", 0.25), ("value", 0.12)):
        gap = np.log((fresh.market.value[name] / world.value[name]).numpy())
        error = (fresh.market.error[name] / fresh.market.value[name]).numpy()
        assert (np.abs(gap) < 2 * error)[many].mean() >= 0.92, name
        assert np.sqrt(np.mean(gap[many] ** 2)) < near, name
    # Rates and prices that drift are what level and drift together say.
    for name, factor in (("ctr", "ctr"), ("price", "price_multiplier")):
        gap = of(name, fresh.level_CPQ + fresh.drift_CPQ) - np.log(FACTORS[factor] ** sign.numpy())
        # Beside them the drift that there is, which is not known here.
        assert np.sqrt(np.mean(gap[many] ** 2)) < 1.2 * float(market.value[f"{name}_drift"][0, 0]), name
    torch.testing.assert_close(fresh.market.price_law / market.price_law, fresh.market.price / market.price)
    # What no level is about stays.
    torch.testing.assert_close(fresh.market.value["saturation"], market.value["saturation"])


def test_a_drift_is_not_taken_for_a_level(market: Market, feedback: Feedback) -> None:
    """After quiet flights the drifts that are believed are the fitted law's, and the levels' errors own to the rest."""
    fresh = refit(market, feedback, Law())
    assert of("ctr", fresh.drift_CPQ).std() > 3 * of("ctr", fresh.level_CPQ).std()
    assert not of("requests", fresh.drift_CPQ).any()
    assert not of("value", fresh.drift_error_CPQ).any()


# ---- nothing to learn ------------------------------------------------------------------------------------------------


def silent(feedback: Feedback, platform: int, first: int, stop: int, amount: float) -> Feedback:
    """All that a platform reports in some cycles is this."""
    changed = {name: getattr(feedback, name).copy() for name in AMOUNTS}
    for table in changed.values():
        table[first:stop, :, platform] = amount
    return replace(feedback, **changed)


def test_a_cell_without_delivery_keeps_its_parameters_with_a_wider_error(market: Market, feedback: Feedback) -> None:
    law, cycles = Law(), 30
    mute = silent(silent(feedback, 3, 0, 60, np.nan), 4, 0, 60, 0.0).between(0, cycles)
    fresh = refit(market, mute, law)
    for name in ("requests", "ctr", "cvr", "value"):
        torch.testing.assert_close(fresh.market.value[name][:, 3:5], market.value[name][:, 3:5])
        error = fresh.market.error[name][:, 3:5] / fresh.market.value[name][:, 3:5]
        # As fitted with 2 %; and 3 in 100 moves of size 1, which have gone on walking.
        want = (0.02**2 + law.moved * (law.size**2 + cycles * law.walk)) ** 0.5
        torch.testing.assert_close(error, torch.full_like(error, want), rtol=1e-4, atol=0)
    np.testing.assert_allclose(fresh.moved_CPQ[:, 3:5], law.moved, rtol=1e-9)
    told = fresh.residuals.z_TCPQ
    assert np.isnan(told[:, :, 3]).all()
    # Nothing delivered is itself a surprise to the volume, and to nothing else.
    assert (of("requests", told)[:, :, 4] < -10).all()
    assert np.isnan(told[:, :, 4, 1:3]).all()


def test_an_outage_moves_neither_click_rate_nor_price(market: Market) -> None:
    dark_feedback = flown(shift(market, "outage", start=20), 23, seed=36)
    dark = follow(market, dark_feedback, Law())
    gone = market.platforms.index(shift(market, "outage").scenario["shifts"][0]["platforms"][0])
    usual, law = Usual.of(market), Law()
    before = follow(market, dark_feedback.between(0, 20), law).state
    for _ in range(3):
        before = pass_cycle(usual, law, before)
    for q in (QUANTITIES.index("ctr"), QUANTITIES.index("price"), QUANTITIES.index("requests")):
        torch.testing.assert_close(dark.state.level_QHCP[q, :, :, gone], before.level_QHCP[q, :, :, gone])
        torch.testing.assert_close(dark.state.evidence_QCP[q, :, gone], before.evidence_QCP[q, :, gone])
    assert (of("requests", dark.residuals.z_TCPQ)[20:, :, gone] < -10).all()
    assert (of("requests", dark.residuals.z_TCPQ)[:20, :, gone] > -5).all()


def test_conversions_come_after_a_feed_that_was_silent(market: Market, feedback: Feedback) -> None:
    """Clicks that nobody reported still convert: their conversions are no rise of the rate."""
    lost = silent(feedback, 2, 20, 23, np.nan)
    told = follow(market, lost, Law()).residuals
    after = of("cvr", told.z_TCPQ)[23:25, :, 2]
    assert np.isfinite(after).all()
    assert abs(after.mean()) < 0.35
    assert after.std() < 1.2


# ---- the table's numbers ---------------------------------------------------------------------------------------------


def test_an_arm_sees_its_part_of_the_requests(market: Market, feedback: Feedback) -> None:
    part = {
        name: 0.3 * getattr(feedback, name) for name in ("requests_TCP", "told_TCP", "spend_TCP", "impressions_TCP")
    }
    rest = {name: 0.3 * getattr(feedback, name) for name in ("clicks_TCP", "conversions_TCP", "revenue_TCP")}
    arm = replace(feedback, part_TC=np.full_like(feedback.part_TC, 0.3), **part, **rest)
    fresh = refit(market, arm, Law())
    assert np.abs(of("requests", fresh.level_CPQ)).max() < 0.1
    assert abs(of("price", fresh.level_CPQ).mean()) < 0.03
    assert (fresh.moved_CPQ > 0.5).mean() < 0.02


def test_where_no_requests_are_told_the_price_is_read_at_the_usual_volume(market: Market, feedback: Feedback) -> None:
    untold = replace(feedback, requests_TCP=np.full_like(feedback.requests_TCP, np.nan))
    told = follow(market, untold, Law())
    z = of("price", told.residuals.z_TCPQ)[5:]
    assert abs(z.mean()) < 0.05
    assert 0.85 < z.var() < 1.1
    assert np.isnan(of("requests", told.residuals.z_TCPQ)).all()
    assert float(believed(told.state, Law()).level[0].abs().max()) == 0


def test_cycle_by_cycle_is_the_same_as_all_at_once(market: Market, feedback: Feedback) -> None:
    law = Law()
    whole = follow(market, feedback.between(0, 6), law)
    state, parts = begin(market, law), []
    for t in range(6):
        state, told = advance(market, law, state, feedback.between(t, t + 1))
        parts.append(told)
    for name in State._fields:
        torch.testing.assert_close(getattr(state, name), getattr(whole.state, name), equal_nan=True)
    for name in Residuals.__slots__:
        joined = np.concatenate([getattr(told, name) for told in parts])
        np.testing.assert_allclose(joined, getattr(whole.residuals, name), equal_nan=True)


def test_hours_walk_and_forget_as_days_do(market: Market) -> None:
    law, daily, hourly = Law(), Usual.of(market), Usual.of(replace(market, cycle_hours=1))
    day, hours = pass_cycle(daily, law, start(daily, law)), start(hourly, law)
    for _ in range(24):
        hours = pass_cycle(hourly, law, hours)
    torch.testing.assert_close(hours.level2_QHCP, day.level2_QHCP)
    gained = day.level2_QHCP - start(daily, law).level2_QHCP
    torch.testing.assert_close(gained[:, 1], torch.full_like(gained[:, 1], 0.003))
    assert not gained[:, 0].any()


def test_a_campaign_that_begins_has_no_conversions_due(market: Market, feedback: Feedback) -> None:
    """Its first cycle's expectation is of its own clicks alone; before it there is nothing to learn."""
    late = replace(feedback.between(0, 3), cycle_TC=np.where(np.arange(3)[:, None] < 1, -1, np.arange(3)[:, None] - 1))
    late = replace(late, cycle_TC=np.broadcast_to(late.cycle_TC, (3, FLIGHTS)).copy())
    told = follow(market, late, Law()).residuals
    assert np.isnan(told.z_TCPQ[0]).all()
    want = 0.6 * late.clicks_TCP[1] * market.value["cvr"].numpy()
    np.testing.assert_allclose(of("cvr", told.expected_TCPQ)[1], want, rtol=0.01)


def test_feedback_of_another_market_is_refused(market: Market, feedback: Feedback) -> None:
    with pytest.raises(ValueError, match=r"feedback: of c0, .* on q0, .*give them in the market's order"):
        follow(market, replace(feedback, platforms=tuple(f"q{i}" for i in range(10))), Law())


def test_flights_side_by_side_do_not_touch_each_other() -> None:
    world, law = watching.market(), Law()
    (flown_,) = fly(watching.small(), world, [(static, 1.0)], flights=3, cycles=10, seed=9)
    whole = walk(Usual.of(world, torch.tensor([0, 1] * 3)), law, flown_).residuals
    alone = flown_.only(np.arange(6) // 2 == 1)
    assert np.isfinite(whole.z_TCPQ[:, 2:4]).any()
    np.testing.assert_allclose(walk(Usual.of(world), law, alone).residuals.z_TCPQ, whole.z_TCPQ[:, 2:4])


def test_of_no_cycles_nothing_is_told(market: Market, feedback: Feedback) -> None:
    followed = follow(market, feedback.between(0, 0), Law())
    assert followed.residuals.z_TCPQ.shape == (0, FLIGHTS, 10, len(QUANTITIES))
    torch.testing.assert_close(followed.state.level2_QHCP, begin(market, Law()).level2_QHCP)
