"""The mixed model of own clicks: against exact sums, that it finds what is planted, and what it does with little."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from scipy.special import expit, logit

from crossmix.journeys import law as laws
from crossmix.journeys import own as owns
from crossmix.journeys.law import LIKING, USER
from crossmix.journeys.layout import of_log
from crossmix.journeys.log import NEVER, Events
from crossmix.journeys.own import Own
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


def theta(channels: int, user: float, liking: float, link: float = 1.0) -> torch.Tensor:
    """A law with normal users; with a link of 1 logistic."""
    base = np.linspace(-2.0, -0.5, channels)
    return torch.tensor([0.0, *base, np.log(user), np.log(liking), np.log(link), 0.0, 0.0], dtype=torch.float64)


def table(
    events: Events, memory: int = 30, summaries: bool = True, link: float = 1.0, liking: float = 0.6
) -> tuple[Table, Own]:
    """Its steps, and effects that are not fitted but set."""
    layout = of_log(events, memory=memory, summaries=summaries)
    feature_RF = layout.features(events)
    fitted = scaler(layout, feature_RF, np.arange(len(events)))
    own = Own(layout, fitted)
    size = laws.size(len(events.channels))
    root = torch.from_numpy(0.1 * np.random.default_rng(size).standard_normal((size, size)))
    own.take(theta(len(events.channels), 1.0, liking, link), root)
    return tabulate(events, layout, feature_RF, fitted), own


def by_hand(events: Events, row: int, first: int, own: Own) -> np.ndarray:
    """Posterior means after a row, of the user's exposures from `first` on, summed exposure by exposure."""
    weight_I, weight_J = (np.exp(-0.5 * one**2) / np.exp(-0.5 * one**2).sum() for one in (USER, LIKING))
    s, t = own.spreads
    base_C, link = np.linspace(-2.0, -0.5, len(events.channels)), float(own.theta_P[-3].exp())
    eta_CIJ = base_C[:, None, None] + s * USER[:, None] + t * LIKING
    p_CIJ = (1 + np.exp(-link * eta_CIJ)) ** (-1 / link)
    like_CIJ = np.ones_like(p_CIJ)
    for one in range(first, row + 1):
        c = events.channel_R[one]
        like_CIJ[c] *= p_CIJ[c] if events.clicked_R[one] else 1 - p_CIJ[c]
    each_CI = (like_CIJ * weight_J).sum(-1)
    joint_I = weight_I * each_CI.prod(0)
    mean_CI = (like_CIJ * weight_J * p_CIJ).sum(-1) / each_CI
    return np.asarray((mean_CI * joint_I).sum(-1) / joint_I.sum())


@pytest.mark.parametrize(("summaries", "link"), [(True, 1.0), (False, 1.0), (True, 2.5)])
def test_it_answers_the_posterior_mean_of_what_the_window_holds(summaries: bool, link: float) -> None:
    events, _ = log(6, 9, 0, user=1.0, liking=0.6)
    steps, own = table(events, summaries=summaries, link=link)
    said_SC = owns.after(own, steps, np.arange(len(events)), window=12)
    for row in (0, 5, 17, 40):
        exact_C = by_hand(events, row, int(events.first_R[row]), own)
        np.testing.assert_allclose(expit(said_SC[row]), exact_C, atol=1e-5)


def test_exposures_before_the_window_count_by_their_clicks_and_channels() -> None:
    """One channel alone: which of them was clicked before is known, and a short window says what a long one does."""
    events, _ = log(5, 12, 1, user=1.0, liking=0.0, channels=1)
    steps, own = table(events, liking=1e-6)
    last = np.flatnonzero(~events.has_next_R)
    short, whole = (owns.after(own, steps, last, window) for window in (4, 12))
    np.testing.assert_allclose(short, whole, atol=1e-4)
    bare, alone = table(events, summaries=False, liking=1e-6)
    assert np.abs(owns.after(alone, bare, last, 4) - whole).max() > 0.05


@pytest.mark.slow
def test_it_finds_how_far_users_and_their_likings_differ() -> None:
    """Planted 1.0 and 0.6, and 1.0 and none, with a logistic link. Spreads and link go together (with less of a link
    users differ less on its scale), so that what is compared are log-odds on the grid of users.
    """
    for liking in (0.6, 0.0):
        events, _ = log(1_000, 40, 2, user=1.0, liking=liking)
        steps, _ = table(events, memory=40)
        scaled = scaler(steps.layout, steps.layout.features(events), np.arange(len(events)))
        found = owns.fit(events, np.ones(1_000, bool), steps.layout, scaled, 20)
        said_CIJ = logit(found.click_CIJ.exp().numpy())
        middle = np.abs(USER) <= 2
        true_CI = np.array([-2.0, -1.25, -0.5])[:, None] + USER[middle]
        np.testing.assert_allclose(said_CIJ[:, middle, len(LIKING) // 2], true_CI, atol=0.3)
        apart_CI = (said_CIJ[:, :, 3] - said_CIJ[:, :, 1])[:, middle] / (LIKING[3] - LIKING[1])
        np.testing.assert_allclose(apart_CI.mean(), liking, atol=0.15)


def test_it_ranks_users_and_channels_better_than_own_click_share() -> None:
    events, true_UC = log(800, 20, 3, user=1.0, liking=0.6)
    steps, _ = table(events)
    scaled = scaler(steps.layout, steps.layout.features(events), np.arange(len(events)))
    found = owns.fit(events, np.arange(800) < 500, steps.layout, scaled, 20)
    last = np.flatnonzero(~events.has_next_R)[500:]
    said_UC = owns.after(found, steps, last, 20)
    clicks_U = np.bincount(events.user_R, events.clicked_R)[500:]
    shares = logit((clicks_U + 1) / 22)[:, None] + np.array([-2.0, -1.25, -0.5])
    errors = [np.square(one - one.mean() - (true_UC[500:] - true_UC[500:].mean())).mean() for one in (said_UC, shares)]
    assert errors[0] < 0.9 * errors[1]


def only(events: Events, keep_R: np.ndarray) -> Events:
    """Some exposures."""
    return replace(
        events, **{one.name: getattr(events, one.name)[keep_R] for one in fields(events) if one.name.endswith("_R")}
    )


def fitted(events: Events) -> Own:
    layout = of_log(events)
    scaled = scaler(layout, layout.features(events), np.arange(len(events)))
    return owns.fit(events, np.ones(len(events.users), bool), layout, scaled, 20)


def test_a_journey_longer_than_a_question_tells_what_a_question_holds() -> None:
    """Of 1,000 exposures the last 49: 20 of a window, and 29 more that its first step sums up. So the law is as sure
    as it is right: the middle user's chance within three of its own deviations of log.
    """
    events, _ = log(300, 1_000, 7, user=0.8, liking=0.4)
    long, short = fitted(events), fitted(only(events, np.arange(len(events)) % 1_000 >= 951))
    assert torch.equal(long.theta_P, short.theta_P)
    true_C, middle = np.log(expit([-2.0, -1.25, -0.5])), (slice(None), len(USER) // 2, len(LIKING) // 2)
    told_C = long.moved_CIJ2P[middle][:, : long.user_IP.shape[1]].norm(dim=-1).numpy()
    assert (np.abs(long.click_CIJ[middle].numpy() - true_C) < 3 * told_C).all()


def test_a_machine_that_clicks_on_all_day_weighs_as_a_user_does() -> None:
    """5,000 clicked exposures of one among 2,000 users of 12: the middle user's chance moves by less than a twentieth,
    the link by less than a half.
    """
    events, _ = log(2_001, 12, 1, user=0.8, liking=0.4)
    people = only(events, events.user_R < 2_000)
    at = np.concatenate([np.arange(len(people)), np.full(5_000, len(events) - 1)])
    machine_R = np.arange(len(at)) >= len(people)
    both = only(events, at)
    both = replace(
        both, clicked_R=both.clicked_R | machine_R, channel_R=np.where(machine_R, 0, both.channel_R),
        seconds_R=np.where(machine_R, np.arange(len(at)), both.seconds_R), row_R=np.arange(len(at)),
    )  # fmt: skip
    with_it, without = fitted(both), fitted(people)
    middle = slice(None), len(USER) // 2, len(LIKING) // 2
    np.testing.assert_allclose(with_it.click_CIJ[middle].exp(), without.click_CIJ[middle].exp(), rtol=0.05)
    assert abs(float(with_it.theta_P[-3] - without.theta_P[-3])) < 0.5


def test_little_is_enough_for_an_answer() -> None:
    """No click, one channel, one user, nobody: finite effects near their priors."""
    events, _ = log(4, 3, 4, user=0.5, liking=0.0, channels=1)
    steps, _ = table(events)
    scaled = scaler(steps.layout, steps.layout.features(events), np.arange(len(events)))
    unclicked = replace(events, clicked_R=np.zeros(len(events), bool))
    for one, of_U in ((unclicked, np.ones(4, bool)), (events, np.arange(4) < 1), (events, np.zeros(4, bool))):
        found = owns.fit(one, of_U, steps.layout, scaled, 20)
        assert all(torch.isfinite(value).all() for value in found.state_dict().values())
        assert np.isfinite(owns.after(found, steps, np.arange(len(events)), 5)).all()


@pytest.mark.parametrize("mean", [0.0, -18.0])
def test_moves_are_the_derivatives_of_the_answer_along_the_law_s_unit_moves(mean: float) -> None:
    """Central differences in double precision; users whose first exposures lie before the window among them. However
    rare a click is: of users without one among hundreds of millions.
    """
    events, _ = log(20, 9, 5, user=1.0, liking=0.6)
    if mean:
        events = replace(events, clicked_R=np.zeros(len(events), bool))
    steps, own = table(events, link=0.4)
    size = laws.size(3)
    root_PP = torch.from_numpy(0.1 * np.random.default_rng(size).standard_normal((size, size)))
    middle_P = theta(3, 1.0, 0.6, 0.4)
    middle_P[0] = mean
    own.take(middle_P, root_PP)
    rows, exact = np.array([3, 8, 17, 40]), replace(steps, feature_RF=steps.feature_RF.double())
    found_SCM = owns.moves(own, steps, rows, 5)
    np.testing.assert_allclose(owns.after(own, steps, rows, 5), owns.after(own.double(), exact, rows, 5), atol=1e-5)

    def at(theta_P: torch.Tensor) -> np.ndarray:
        own.click_CIJ, own.not_CIJ, own.user_I = laws.grids(theta_P)
        return owns.after(own, exact, rows, 5)

    own.liking_J, h = laws.log_liking(), 1e-4
    assert not mean or own(exact.feature_RF[:1, None], torch.ones(1, 1)).max() < mean + 2
    for number, move_P in enumerate(root_PP.T):
        slope_SC = (at(middle_P + h * move_P) - at(middle_P - h * move_P)) / (2 * h)
        np.testing.assert_allclose(found_SCM[..., number], slope_SC, atol=2e-5)


def test_clicks_before_the_window_of_channels_unknown_widen_by_as_much_as_they_would_tell() -> None:
    """1,000 users: how far short windows' answers lie off those of whole ones, beside what is told of it; a window
    that holds all has nothing before it.
    """
    events, _ = log(1_000, 12, 6, user=1.0, liking=0.6)
    steps, own = table(events)
    last = np.flatnonzero(~events.has_next_R)
    off_SC = owns.after(own, steps, last, 4) - owns.after(own, steps, last, 12)
    told_SC = owns.moves(own, steps, last, 4)[..., -1]
    assert np.sqrt(np.square(told_SC).mean()) == pytest.approx(np.sqrt(np.square(off_SC).mean()), rel=0.25)
    assert owns.moves(own, steps, last, 12)[..., -1].max() == 0.0
