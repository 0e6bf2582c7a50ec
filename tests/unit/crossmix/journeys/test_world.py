"""User worlds: the planted one is the generated log's, the fitted one finds effects that were planted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit, logit

from crossmix.config import Demo
from crossmix.journeys.fitted_world import drawn_chances, fitted
from crossmix.journeys.world import World, WorldError, planted, play_log, redrawn
from crossmix.sources.demo import generate
from crossmix.sources.demo_world import world

SMALL = Demo(seed=3, days=28, campaigns=2, users=3_000, creatives=20, requests_per_day=900)


def test_the_planted_world_clicks_as_the_generated_log_does() -> None:
    """By user and platform, up to one factor: the saturation of a day's supply, which is left out."""
    quiet = replace(SMALL, response_drift=0.0, price_drift=0.0)
    made, log = planted(quiet), generate(quiet).impressions
    log = log[(log["campaign_id"] == "campaign_1") & (log["price_paid"] > 0)].drop_duplicates("impression_id")
    user = log["user_id"].str[1:].astype(int).to_numpy()
    channel = log["platform"].map({name: c for c, name in enumerate(made.channels)}).to_numpy()
    expected = made.click_UC[user, channel]
    edge = np.quantile(expected, [0, 0.25, 0.5, 0.75, 1])
    group = np.minimum(np.searchsorted(edge, expected, side="right") - 1, 3)
    clicks, meant = np.bincount(group, log["clicked"]), np.bincount(group, expected)
    whole = clicks.sum() / meant.sum()
    assert 0.75 < whole < 1.0
    np.testing.assert_allclose(clicks / meant, whole, atol=4 * np.max(np.sqrt(meant) / meant))
    np.testing.assert_allclose(np.bincount(channel) / len(channel), made.share_C, atol=0.05)


def test_the_planted_world_has_the_log_s_own_effects() -> None:
    made, truth = planted(SMALL, campaign=1), world(SMALL)
    inside = (made.click_UC < 0.9).all(1)
    ratio_UC = made.click_UC / truth.ctr_CP[1] / np.exp(truth.click_U[:, None] + truth.click_UP)
    np.testing.assert_allclose(ratio_UC[inside], ratio_UC[inside][0, 0])
    assert made.activity_U @ (made.click_UC / truth.ctr_CP[1]).mean(1) == pytest.approx(1.0, abs=0.03)


def test_a_log_follows_world_and_shares() -> None:
    rng = np.random.default_rng(0)
    made = planted(SMALL)
    log, tired = play_log(made, 60_000, 30, rng)
    order = np.lexsort((log.seconds_R, log.user_R))
    assert np.array_equal(order, np.arange(len(log)))
    np.testing.assert_allclose(np.bincount(log.channel_R, minlength=10) / len(log), made.share_C, atol=0.01)
    expected = made.click_UC[log.user_R, log.channel_R]
    z = (log.clicked_R - expected).sum() / np.sqrt((expected * (1 - expected)).sum())
    assert abs(z) < 4
    assert not (log.converted_R & ~log.clicked_R).any()
    assert tired.sum() < len(log)


def test_fatigue_takes_clicks_from_a_channel_shown_before_and_recovers() -> None:
    made = planted(SMALL).tiring(fatigue=0.7, recovery=2.0)
    assert "fatigue" in made.label
    tired = np.zeros((1, 10))
    fresh = made.click(np.array([5]), tired)
    tired[0, 2] = 1.0
    after = made.click(np.array([5]), tired)
    assert after[0, 2] == pytest.approx(fresh[0, 2] * np.exp(-0.7))
    np.testing.assert_array_equal(np.delete(after, 2), np.delete(fresh, 2))
    # Two exposures a day apart: the second meets exp(-1/2) of the first, and is counted itself.
    one = World(
        label="one", channels=("a",), cost_C=np.ones(1), value_C=np.ones(1), share_C=np.ones(1), activity_U=np.ones(1),
        click_UC=np.full((1, 1), 0.5), conversion_UC=np.ones((1, 1)), otherwise_C=np.zeros(1),
        fatigue=1.0, recovery=2.0,
    )  # fmt: skip
    log, tired = play_log(one, 2, 4.0, np.random.default_rng(1))
    days = np.append(log.seconds_R / 86_400, 4.0)
    want = (np.exp(-(days[1] - days[0]) / 2) + 1) * np.exp(-(days[2] - days[1]) / 2)
    assert tired[0, 0] == pytest.approx(want)


def test_the_fitted_world_finds_the_spread_of_users_and_of_their_channels() -> None:
    rng = np.random.default_rng(5)
    users, b_C = 1_500, np.array([-1.5, -0.5, -2.0, -1.0])
    conversion_UC = expit(-1.5 + 1.0 * rng.standard_normal((users, 1)) + 0.4 * rng.standard_normal((users, 4)))
    click_UC = expit(b_C + 0.8 * rng.standard_normal((users, 1)) + 0.5 * rng.standard_normal((users, 4)))
    truth = replace(
        planted(SMALL), channels=("a", "b", "c", "d"), cost_C=np.arange(1.0, 5.0), value_C=np.ones(4),
        share_C=np.full(4, 0.25), activity_U=np.full(users, 1 / users), click_UC=click_UC,
        conversion_UC=conversion_UC, otherwise_C=np.full(4, 0.02),
    )  # fmt: skip
    log, _ = play_log(truth, users * 40, 30, rng)
    made = fitted(log, truth.value_C, rng)
    assert "semi-synthetic" in made.label
    np.testing.assert_allclose(made.click_UC.mean(0), click_UC.mean(0), atol=0.02)
    np.testing.assert_allclose(made.cost_C, truth.cost_C)
    agree(made.click_UC, click_UC, own=0.12, apart=0.2, least=0.6)
    np.testing.assert_allclose(made.conversion_UC.mean(0), conversion_UC.mean(0), atol=0.04)
    # Some twelve clicks a user tell less of it than forty exposures of clicks.
    agree(made.conversion_UC, conversion_UC, own=0.2, apart=0.4, least=0.4)
    np.testing.assert_allclose(made.otherwise_C, 0.02, atol=0.006)


def agree(made_UC: np.ndarray, true_UC: np.ndarray, *, own: float, apart: float, least: float) -> None:
    """Spread of users and of their channels within these shares of the true ones, and users the same."""
    odds, want = logit(made_UC), logit(true_UC)
    assert odds.mean(1).std() == pytest.approx(want.mean(1).std(), rel=own)
    beside, meant = odds - odds.mean(1, keepdims=True), want - want.mean(1, keepdims=True)
    assert (beside - beside.mean(0)).std() == pytest.approx((meant - meant.mean(0)).std(), rel=apart)
    assert np.corrcoef(odds.ravel(), want.ravel())[0, 1] > least


def test_users_without_a_conversion_of_their_own_are_shrunken_towards_all_and_no_further() -> None:
    """Ten clicks each, no effect planted: what differs is luck, and nearly nothing of it is taken for a user's own."""
    rng = np.random.default_rng(2)
    tried = np.full((2_000, 2), 5.0)
    same = drawn_chances(tried, rng.binomial(5, 0.2, (2_000, 2)).astype(float), rng)
    assert same.mean() == pytest.approx(0.2, abs=0.01)
    assert logit(same).mean(1).std() < 0.25
    assert (drawn_chances(tried, np.zeros((2_000, 2)), rng) == 0).all()


def test_a_fitted_world_sells_at_the_log_s_prices_of_the_channel() -> None:
    rng = np.random.default_rng(4)
    made = planted(SMALL)
    log, _ = play_log(made, 4_000, 20, rng)
    log = replace(log, cost_R=(1.0 + log.channel_R) * rng.choice([1.0, 3.0], len(log)))
    found = fitted(log, made.value_C, rng)
    channel_B = np.repeat(np.arange(10), 2_000)
    price_B = found.price(channel_B, rng.random(len(channel_B)))
    assert set(price_B / (1.0 + channel_B)) == {1.0, 3.0}
    for at in range(10):
        assert price_B[channel_B == at].mean() == pytest.approx(found.cost_C[at], rel=0.05)
    order = list(range(9, -1, -1))
    turned = found.on(order).price(np.zeros(5, int), np.linspace(0, 0.99, 5))
    assert set(turned) <= {10.0, 30.0}
    np.testing.assert_array_equal(made.price(channel_B, rng.random(len(channel_B))), made.cost_C[channel_B])


def test_a_redrawn_log_keeps_its_exposures_and_clicks_as_the_world_does() -> None:
    rng = np.random.default_rng(9)
    made = planted(SMALL)
    log, _ = play_log(made, 30_000, 20, rng)
    seen = np.unique(log.user_R)
    again = redrawn(made.of(seen), log, rng)
    for name in ("user_R", "channel_R", "seconds_R", "cost_R"):
        assert np.array_equal(getattr(again, name), getattr(log, name))
    expected = made.click_UC[log.user_R, log.channel_R]
    z = (again.clicked_R - expected).sum() / np.sqrt((expected * (1 - expected)).sum())
    assert abs(z) < 4
    assert (again.clicked_R != log.clicked_R).any()
    assert not (again.converted_R & ~again.clicked_R).any()


def test_a_world_of_too_little_is_refused() -> None:
    few, _ = play_log(planted(SMALL), 50, 3, np.random.default_rng(0))
    with pytest.raises(WorldError, match="200 exposures"):
        fitted(few, np.ones(10), np.random.default_rng(0))
