"""The mixed model of own clicks: against exact sums, that it finds what is planted, and what it does with little."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import expit, logit

from crossmix.journeys import own as owns
from crossmix.journeys.layout import of_log
from crossmix.journeys.log import NEVER, Events
from crossmix.journeys.own import LIKING, USER, Own
from crossmix.journeys.table import Table, tabulate
from crossmix.journeys.windows import scaler


def log(
    users: int, shown: int, seed: int, *, user: float, liking: float, channels: int = 3
) -> tuple[Events, np.ndarray]:
    """Exposures of users with such effects, and their log-odds of a click on every channel."""
    rng = np.random.default_rng(seed)
    base_C = np.linspace(-2.0, -0.5, channels)
    true_UC = base_C + user * rng.standard_normal((users, 1)) + liking * rng.standard_normal((users, channels))
    user_R, channel_R = np.repeat(np.arange(users), shown), rng.integers(channels, size=users * shown)
    clicked_R = rng.random(len(user_R)) < expit(true_UC[user_R, channel_R])
    nothing, seconds_R = np.zeros(len(user_R)), np.tile(np.arange(float(shown)), users)
    events = Events(
        channels=tuple("abcdefgh"[:channels]), users=tuple(f"u{one:04d}" for one in range(users)), user_R=user_R,
        channel_R=channel_R, clicked_R=clicked_R, cost_R=nothing + 1.0, seconds_R=seconds_R,
        converted_R=nothing > 0, known_R=nothing + NEVER, revenue_R=nothing, row_R=np.arange(len(user_R)),
    )  # fmt: skip
    return events, true_UC


def table(events: Events, memory: int = 30, summaries: bool = True) -> tuple[Table, Own]:
    """Its steps, and effects that are not fitted but set."""
    layout = of_log(events, memory=memory, summaries=summaries)
    feature_RF = layout.features(events)
    fitted = scaler(layout, feature_RF, np.arange(len(events)))
    own = Own(layout, fitted)
    own.base_C, own.spread_2 = torch.linspace(-2.0, -0.5, len(events.channels)), torch.tensor([1.0, 0.6])
    return tabulate(events, layout, feature_RF, fitted), own


def by_hand(events: Events, row: int, first: int, own: Own) -> np.ndarray:
    """Posterior means after a row, of the user's exposures from `first` on, summed exposure by exposure."""
    weight_I, weight_J = (np.exp(-0.5 * one**2) / np.exp(-0.5 * one**2).sum() for one in (USER, LIKING))
    s, t = own.spread_2.tolist()
    p_CIJ = expit(own.base_C.numpy()[:, None, None] + s * USER[:, None] + t * LIKING)
    like_CIJ = np.ones_like(p_CIJ)
    for one in range(first, row + 1):
        c = events.channel_R[one]
        like_CIJ[c] *= p_CIJ[c] if events.clicked_R[one] else 1 - p_CIJ[c]
    each_CI = (like_CIJ * weight_J).sum(-1)
    joint_I = weight_I * each_CI.prod(0)
    mean_CI = (like_CIJ * weight_J * p_CIJ).sum(-1) / each_CI
    return np.asarray((mean_CI * joint_I).sum(-1) / joint_I.sum())


@pytest.mark.parametrize("summaries", [True, False])
def test_it_answers_the_posterior_mean_of_what_the_window_holds(summaries: bool) -> None:
    events, _ = log(6, 9, 0, user=1.0, liking=0.6)
    steps, own = table(events, summaries=summaries)
    said_SC = owns.after(own, steps, np.arange(len(events)), window=12)
    for row in (0, 5, 17, 40):
        exact_C = by_hand(events, row, int(events.first_R[row]), own)
        np.testing.assert_allclose(expit(said_SC[row]), exact_C, atol=1e-5)


def test_exposures_before_the_window_count_by_their_clicks_and_channels() -> None:
    """One channel alone: which of them was clicked before is known, and a short window says what a long one does."""
    events, _ = log(5, 12, 1, user=1.0, liking=0.0, channels=1)
    steps, own = table(events)
    own.spread_2 = torch.tensor([1.0, 0.0])
    last = np.flatnonzero(~events.has_next_R)
    short, whole = (owns.after(own, steps, last, window) for window in (4, 12))
    np.testing.assert_allclose(short, whole, atol=1e-4)
    bare, alone = table(events, summaries=False)
    alone.spread_2 = own.spread_2
    assert np.abs(owns.after(alone, bare, last, 4) - whole).max() > 0.05


@pytest.mark.slow
def test_it_finds_how_far_users_and_their_likings_differ() -> None:
    """Planted 1.0 and 0.6, and 1.0 and none; the errors of 1,000 users' spreads are about 0.03 and 0.05."""
    for liking in (0.6, 0.0):
        events, _ = log(1_000, 40, 2, user=1.0, liking=liking)
        steps, _ = table(events, memory=40)
        scaled = scaler(steps.layout, steps.layout.features(events), np.arange(len(events)))
        found = owns.fit(events, np.ones(1_000, bool), steps.layout, scaled)
        assert float(found.spread_2[0]) == pytest.approx(1.0, abs=0.12)
        assert float(found.spread_2[1]) == pytest.approx(liking, abs=0.15)
        np.testing.assert_allclose(found.base_C.numpy(), [-2.0, -1.25, -0.5], atol=0.15)


def test_it_ranks_users_and_channels_better_than_own_click_share() -> None:
    events, true_UC = log(800, 20, 3, user=1.0, liking=0.6)
    steps, _ = table(events)
    scaled = scaler(steps.layout, steps.layout.features(events), np.arange(len(events)))
    found = owns.fit(events, np.arange(800) < 500, steps.layout, scaled)
    last = np.flatnonzero(~events.has_next_R)[500:]
    said_UC = owns.after(found, steps, last, 20)
    clicks_U = np.bincount(events.user_R, events.clicked_R)[500:]
    shares = logit((clicks_U + 1) / 22)[:, None] + found.base_C.numpy()
    errors = [np.square(one - one.mean() - (true_UC[500:] - true_UC[500:].mean())).mean() for one in (said_UC, shares)]
    assert errors[0] < 0.9 * errors[1]


def test_little_is_enough_for_an_answer() -> None:
    """No click, one channel, one user, nobody: finite effects near their priors."""
    events, _ = log(4, 3, 4, user=0.5, liking=0.0, channels=1)
    steps, _ = table(events)
    scaled = scaler(steps.layout, steps.layout.features(events), np.arange(len(events)))
    unclicked = replace(events, clicked_R=np.zeros(len(events), bool))
    for one, of_U in ((unclicked, np.ones(4, bool)), (events, np.arange(4) < 1), (events, np.zeros(4, bool))):
        found = owns.fit(one, of_U, steps.layout, scaled)
        assert all(torch.isfinite(value).all() for value in found.state_dict().values())
        assert np.isfinite(owns.after(found, steps, np.arange(len(events)), 5)).all()
