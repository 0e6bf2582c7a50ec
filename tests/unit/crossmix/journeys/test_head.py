"""The last layer against closed forms, and its intervals against worlds whose answer is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit

from crossmix.journeys.head import Choice, Head, apart, calibrated, chosen, fit, log_loss, misfit, moved, platt


def _steps(seed: int, users: int, weight_CD: np.ndarray) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    user = np.repeat(np.arange(users), 8)
    phi = np.concatenate([rng.standard_normal((len(user), weight_CD.shape[1] - 1)), np.ones((len(user), 1))], 1)
    channel = rng.choice(
        len(weight_CD), len(user), p=np.arange(1, len(weight_CD) + 1) / np.arange(1, len(weight_CD) + 1).sum()
    )
    y = (rng.random(len(user)) < expit((phi * weight_CD[channel]).sum(1))).astype(float)
    return phi, channel, y, user


def test_a_constant_alone_gives_each_channel_s_rate_and_its_binomial_error() -> None:
    """One feature, the constant, and an own prior of nothing: the layer is a rate per channel."""
    rng = np.random.default_rng(0)
    channel = np.repeat([0, 1], [4_000, 1_000])
    y = (rng.random(5_000) < np.where(channel == 0, 0.3, 0.1)).astype(float)
    head = fit(np.ones((5_000, 1)), channel, y, np.arange(5_000), 2, Choice(1e-4))
    for c, n in ((0, 4_000), (1, 1_000)):
        rate = y[channel == c].mean()
        assert expit(head.weight_CD[c, 0]) == pytest.approx(rate, rel=1e-3)
        assert head.deviation(np.ones((1, 1, 1)))[0, c] == pytest.approx(1 / np.sqrt(n * rate * (1 - rate)), rel=0.01)


def test_steps_of_a_user_that_are_alike_count_once() -> None:
    """Every step eight times over says no more: the deviation stays, where curvature alone would shrink it by 8."""
    rng = np.random.default_rng(1)
    y = (rng.random(2_000) < 0.2).astype(float)
    once = fit(np.ones((2_000, 1)), np.zeros(2_000, int), y, np.arange(2_000), 1, Choice(1e-4))
    again = fit(
        np.ones((16_000, 1)), np.zeros(16_000, int), np.repeat(y, 8), np.repeat(np.arange(2_000), 8), 1, Choice(1e-4)
    )
    one = np.ones((1, 1, 1))
    assert again.deviation(one)[0, 0] == pytest.approx(once.deviation(one)[0, 0], rel=0.02)


def test_a_channel_never_shown_leans_on_the_others_and_is_less_certain() -> None:
    weight = np.tile([0.8, -1.0], (3, 1))
    phi, channel, y, user = _steps(2, 400, weight)
    head = fit(phi, channel % 2, y, user, 3, Choice(30.0))
    np.testing.assert_allclose(head.weight_CD[2], weight[2], atol=0.25)
    seen, unseen = head.deviation(phi[:1, None])[0, 1:]
    assert unseen > 1.5 * seen


@pytest.mark.parametrize("seed", range(3))
def test_intervals_hold_the_truth_nineteen_times_in_twenty(seed: int) -> None:
    """Over 20 fresh logs each: of 500 questions' true probabilities, 0.95 lie in their intervals (0.90 to 0.99)."""
    rng, inside = np.random.default_rng(seed), []
    for _ in range(20):
        weight = np.array([0.6, -0.3, -1.5]) + 0.2 * rng.standard_normal((4, 3))
        phi, channel, y, user = _steps(int(rng.integers(1 << 30)), 400, weight)
        _, low, high = fit(phi, channel, y, user, 4, Choice(1 / 0.04)).answer(phi[:500, None])
        true = expit(phi[:500] @ weight.T)
        inside.append(((low <= true) & (true <= high)).mean())
    assert 0.90 < np.mean(inside) < 0.99


def test_calibration_undoes_what_was_done_to_the_log_odds() -> None:
    rng = np.random.default_rng(3)
    logit, user = rng.normal(-1, 1, 40_000), np.arange(40_000)
    y = (rng.random(40_000) < expit(logit)).astype(float)
    scale, shift, error = platt(2 * logit + 1, y, user)
    assert scale == pytest.approx(0.5, abs=3 * np.sqrt(error[0, 0]))
    assert shift == pytest.approx(-0.5, abs=3 * np.sqrt(error[1, 1]))
    phi = np.stack([logit, np.ones(40_000)], 1)[:, None]
    head = calibrated(Head(np.array([[2.0, 1.0]]), np.eye(2)[None]), phi, np.zeros(40_000, int), y, user)
    assert platt(head.logit(phi)[:, 0], y, user)[0] == pytest.approx(1, abs=1e-3)
    assert head.deviation(np.array([[[0.0, 1.0]]]))[0, 0] == pytest.approx(head.scale, rel=1e-3)


def test_the_error_of_a_calibration_is_that_of_fresh_samples() -> None:
    rng, scales, errors = np.random.default_rng(7), [], []
    for _ in range(200):
        logit = rng.normal(-1, 1, 2_000)
        scale, _, error = platt(logit, (rng.random(2_000) < expit(logit)).astype(float), np.arange(2_000))
        scales.append(scale)
        errors.append(np.sqrt(error[0, 0]))
    assert np.mean(errors) == pytest.approx(np.std(scales), rel=0.2)


def test_two_halves_tell_the_deviation_of_the_whole() -> None:
    """Estimates with errors of deviation 0.4 in each half: the whole has 0.2, four times the layer's own 0.05."""
    rng = np.random.default_rng(8)
    truth, phi = rng.standard_normal((5_000, 2)), np.ones((5_000, 1, 1))
    head = Head(np.zeros((2, 1)), np.full((2, 1, 1), 0.05**2))
    halves = (truth + 0.4 / np.sqrt(2) * rng.standard_normal((5_000, 2)) for _ in range(2))
    assert apart(head, phi, *halves).spread == pytest.approx(4, rel=0.05)
    assert apart(head, phi, truth, truth).spread == 1.0


def test_what_both_halves_cannot_see_hides_no_difference_of_theirs_and_is_not_spread() -> None:
    """A move of 0.3 that is alike for both, a layer's own 0.02, halves that differ by 0.2: 0.1 in all, 5 times its own;
    and an error of the calibration of 0.3 is as alike.
    """
    phi, said = np.tile([0.3, 1.0], (50, 2, 1)), np.zeros((50, 2))
    head = moved(Head(np.tile([1.0, 0.0], (2, 1)), np.tile(np.diag([0.0, 0.02**2]), (2, 1, 1))), 1)
    phi = np.concatenate([phi[..., :1], np.zeros((50, 2, 1)), phi[..., 1:]], -1)
    sure, unsure = (replace(head, error_22=np.diag([0.0, one**2])) for one in (0.0, 0.3))
    for one in (sure, unsure):
        found = apart(one, phi, said, said + 0.2, unseen=0)
        assert found.spread == pytest.approx(5.0)
        np.testing.assert_allclose(found.deviation(phi) ** 2, 0.3**2 + 0.1**2 + one.error_22[1, 1])
    assert apart(sure, phi, said, said + 0.2).spread == 1.0


def test_a_group_lies_off_by_less_than_its_steps_where_moves_part_them() -> None:
    """Groups off by a deviation of 0.5 of log-odds: what the layer is unsure of by step, up and down within each group
    or unseen, explains none of it; what it is unsure of for whole groups explains all.
    """
    rng = np.random.default_rng(15)
    group, user = np.repeat(np.arange(40), 2_000), np.arange(80_000) // 4
    y = (rng.random(len(group)) < expit(-1 + 0.5 * rng.standard_normal(40)[group])).astype(float)
    head = Head(np.array([[0.0, 0.0, -1.0]]), np.diag([1.0, 1.0, 0.0])[None])
    found = {}
    for name, unseen, within in (("unseen", 1.0, 0.0), ("by step", 0.0, 1.0), ("whole", 0.0, 0.0)):
        sign = np.where(np.arange(len(group)) % 2, 1.0, -1.0) if within else float(name == "whole")
        phi = np.stack([np.full(len(group), unseen), np.broadcast_to(sign, group.shape), np.ones(len(group))], -1)
        found[name] = misfit(head, phi[:, None], np.zeros(len(group), int), y, user, group, unseen=0).misfit
    assert found["unseen"] == found["by step"] == pytest.approx(0.25, rel=0.5)
    assert found["whole"] == 0.0


def test_validation_users_choose_how_much_is_a_channel_s_own() -> None:
    """Where channels are alike, leaning on each other predicts better than a layer per channel."""
    weight = np.tile([0.8, -0.5, -1.0], (6, 1))
    first, second, third = (_steps(seed, users, weight) for seed, users in ((4, 60), (5, 200), (6, 1_000)))
    phi, channel, y = ((first[at], second[at]) for at in range(3))
    head, _ = chosen((phi[0], phi[1][:, None]), channel, y, (first[3], second[3]), 6)
    own = calibrated(fit(*first, channels=6, choice=Choice(0.01)), second[0][:, None], *second[1:])
    losses = [
        log_loss(one.logit(third[0][:, None])[np.arange(len(third[1])), third[1]], third[2]) for one in (head, own)
    ]
    assert losses[0] < losses[1]


def test_separable_steps_have_an_answer() -> None:
    scale, shift, _ = platt(np.array([-1.0, 1.0]), np.array([0.0, 1.0]), np.arange(2))
    assert np.isfinite([scale, shift]).all()
    head = fit(
        np.array([[-1.0, 1.0], [1.0, 1.0]]), np.zeros(2, int), np.array([0.0, 1.0]), np.arange(2), 1, Choice(1.0)
    )
    assert np.isfinite(head.weight_CD).all()


def test_what_is_known_already_is_all_that_is_said_where_nothing_lies_beyond() -> None:
    """Noise beside the true log-odds: validation users show nothing in it; its weights end near 0, the other's at 1."""
    rng = np.random.default_rng(11)

    def steps(users: int) -> tuple[np.ndarray, ...]:
        n = users * 8
        known = rng.normal(-1, 1, n)
        phi = np.concatenate([rng.standard_normal((n, 6)), known[:, None], np.ones((n, 1))], 1)
        y = (rng.random(n) < expit(known)).astype(float)
        return phi, rng.integers(3, size=n), y, np.repeat(np.arange(users), 8)

    first, second = steps(100), steps(400)
    phi = first[0], np.repeat(second[0][:, None], 3, 1)
    head, choice = chosen(phi, *((first[at], second[at]) for at in (1, 2, 3)), 3, 1.0)
    assert choice.believed > 1
    assert choice.known == 1.0
    np.testing.assert_allclose(head.scale * head.weight_CD[:, 6], 1.0, atol=0.15)
    assert np.abs(head.weight_CD[:, :6]).max() < 0.1
    same, again = chosen(phi, *((first[at], second[at]) for at in (1, 2, 3)), 3, 1.0, choice)
    assert again == choice
    np.testing.assert_array_equal(same.weight_CD, head.weight_CD)


def test_features_of_each_channel_are_weighted_by_that_channel_s_weights() -> None:
    rng = np.random.default_rng(12)
    phi, weight = rng.standard_normal((5, 3, 4)), rng.standard_normal((3, 4))
    root = rng.standard_normal((3, 4, 4))
    head = Head(weight, root @ root.swapaxes(1, 2), scale=2.0, shift=0.5, misfit=0.25)
    for b, c in ((0, 0), (4, 2)):
        assert head.logit(phi)[b, c] == pytest.approx(2 * phi[b, c] @ weight[c] + 0.5)
        own = phi[b, c] @ head.covariance_CDD[c] @ phi[b, c]
        assert head.deviation(phi)[b, c] == pytest.approx(np.sqrt(4 * own + 0.25))
    alike = np.repeat(phi[:, :1], 3, 1)
    np.testing.assert_allclose(head.logit(phi[:, :1]), head.logit(alike))
    np.testing.assert_allclose(head.deviation(phi[:, :1]), head.deviation(alike))


def test_groups_that_lie_off_the_layer_widen_its_intervals_by_as_much() -> None:
    """40 groups off by a deviation of 0.5 of log-odds, and by none: the variance is found, 0.25 and nothing."""
    rng = np.random.default_rng(13)
    group = np.repeat(np.arange(40), 2_000)
    phi, user = np.ones((len(group), 1, 1)), np.arange(len(group)) // 4
    head = Head(np.array([[-1.0]]), np.zeros((1, 1, 1)))
    off = 0.5 * rng.standard_normal(40)
    found = []
    for true in (off[group], np.zeros(len(group))):
        y = (rng.random(len(group)) < expit(-1 + true)).astype(float)
        found.append(misfit(head, phi, np.zeros(len(group), int), y, user, group).misfit)
    assert found[0] == pytest.approx(off.var(), rel=0.25)
    assert found[1] < 0.002


def test_an_event_that_never_came_and_steps_that_are_none_have_an_answer() -> None:
    for count in (0, 50):
        phi, none = np.ones((count, 1)), np.zeros(count, int)
        head, _ = chosen((phi, phi[:, None]), (none, none), (np.zeros(count), np.zeros(count)), (none, none), 2)
        p, low, high = head.answer(np.ones((1, 1, 1)))
        assert np.isfinite([p, low, high]).all()
        assert (low < p).all()
        assert (p < high).all()
        if count:
            assert (p < 0.05).all()


def test_what_is_known_with_an_error_widens_an_answer_by_its_weight() -> None:
    """Known log-odds of weight 0.8 and 0.5 that move by 0.3 and 0.4: 0.5 in all; the answer stays."""
    rng = np.random.default_rng(14)
    phi, root = rng.standard_normal((5, 2, 3)), rng.standard_normal((2, 3, 3))
    head = Head(np.array([[0.2, 0.8, -1.0], [0.1, 0.5, -2.0]]), root @ root.swapaxes(1, 2), scale=2.0, shift=0.5)
    both, wide = moved(head, 2), np.concatenate([np.tile([0.3, 0.4], (5, 2, 1)), phi], -1)
    np.testing.assert_allclose(both.logit(wide), head.logit(phi))
    added = np.square(both.deviation(wide)) - np.square(head.deviation(phi))
    np.testing.assert_allclose(added, np.tile([(2 * 0.8 * 0.5) ** 2, (2 * 0.5 * 0.5) ** 2], (5, 1)), rtol=1e-9)
