from __future__ import annotations

import numpy as np
import pytest

from crossmix.journeys.layout import Layout
from crossmix.journeys.log import JourneyError, uniform
from crossmix.journeys.windows import TEST, TRAIN, VALIDATION, by_user, cut, drawn, drawn_parts, overlap, scaler, tail
from tests.support.journeys import CHANNELS, events


def test_parts_are_by_user_and_training_is_outside_ingests_hold_out() -> None:
    ids = [f"u{number}" for number in range(4_000)]
    part = by_user(ids, 0.2, 0.2)
    np.testing.assert_array_equal(part != TRAIN, uniform(ids, "holdout ") < 0.4)
    assert np.mean(part == TEST) == pytest.approx(0.2, abs=0.03)
    assert np.mean(part == VALIDATION) == pytest.approx(0.2, abs=0.03)
    assert (by_user(ids, 0.2, 0.2, "other ") != part).any()
    np.testing.assert_array_equal(by_user(ids[::-1], 0.2, 0.2), part[::-1])


@pytest.mark.parametrize(("length", "stride"), [(20, 10), (5, 5), (4, 1), (1, 1), (7, None)])
def test_every_step_with_a_next_is_judged_once(length: int, stride: int | None) -> None:
    of = events(least=1)
    windows = cut(of, length, stride)
    np.testing.assert_array_equal(np.sort(windows.row_S), np.flatnonzero(of.has_next_R))
    assert not (windows.scored_NT & ~windows.real_NT).any()
    for row, real in zip(windows.row_NT, windows.real_NT, strict=True):
        assert real[: real.sum()].all(), "padding comes last"
        assert len(np.unique(of.user_R[row[real]])) == 1
        assert (np.diff(row[real]) == 1).all()


def test_later_windows_are_judged_with_steps_before_them() -> None:
    of = events(6, least=28)
    windows = cut(of, 10, 4)
    place_NT = windows.row_NT - of.first_R[windows.row_NT]
    late = windows.scored_NT & (place_NT >= 10)
    assert late.any()
    assert np.nonzero(late)[1].min() >= 6


def test_the_last_step_stands_in_a_window_only_where_asked_for() -> None:
    of = events(least=1)
    lasts = np.flatnonzero(~of.has_next_R)
    assert not np.isin(cut(of, 6).row_NT, lasts).any()
    with_last = cut(of, 6, last=True)
    assert np.isin(lasts, with_last.row_NT).all()
    np.testing.assert_array_equal(np.sort(with_last.row_S), np.flatnonzero(of.has_next_R))
    ends = tail(of, 6)
    np.testing.assert_array_equal(ends.row_NT.max(axis=1), lasts)
    assert (ends.real_NT.sum(axis=1) == np.minimum(np.bincount(of.user_R), 6)).all()


def test_some_steps_alone_can_be_judged() -> None:
    of = events()
    keep = of.seconds_R > np.median(of.seconds_R)
    windows = cut(of, 8).scoring(keep)
    np.testing.assert_array_equal(np.sort(windows.row_S), np.flatnonzero(keep & of.has_next_R))
    assert windows.scored_NT.any(axis=1).all()


def test_a_log_can_end_early() -> None:
    of = events()
    keep = of.seconds_R < np.median(of.seconds_R)
    windows = cut(of, 8)
    early = windows.until(keep)
    assert len(early) == len(windows)
    np.testing.assert_array_equal(np.sort(early.row_S), np.flatnonzero(keep & of.has_next_R))
    assert keep[early.row_NT[early.real_NT]].all()
    for real in early.real_NT:
        assert real[: real.sum()].all(), "padding still comes last"


def test_the_authors_windows_overlap_and_ours_do_not() -> None:
    of = events(200, least=9, most=40)
    train, validation, test = drawn_parts(drawn(of, 8, 1_000, 0), 0)
    assert [len(part) for part in (train, validation, test)] == [800, 100, 100]
    for part in (train, validation, test):
        assert (np.diff(part.row_NT) == 1).all()
        assert (of.user_R[part.row_NT] == of.user_R[part.row_NT[:, :1]]).all()
        assert of.has_next_R[part.row_NT].all()
    theirs = overlap(of, train, test)
    assert theirs.users > 0.9
    assert 0.05 < theirs.windows < 0.5
    assert theirs.steps > theirs.windows
    part_U = by_user(of.users, 0.2, 0.2)
    ours = overlap(of, cut(of.of_users(part_U == TRAIN), 8), cut(of.of_users(part_U == TRAIN), 8))
    assert (ours.users, ours.windows, ours.steps) == (1, 1, 1)
    windows = cut(of, 8)
    user_N = of.user_R[windows.row_NT[:, 0]]
    apart = overlap(of, windows.where(part_U[user_N] == TRAIN), windows.where(part_U[user_N] == TEST))
    assert (apart.users, apart.windows, apart.steps) == (0, 0, 0)


def test_a_scaler_is_fitted_on_the_steps_that_it_is_given_and_leaves_shares_as_they_are() -> None:
    of = events(60)
    layout = Layout(CHANNELS)
    feature_RF = layout.features(of)
    fitted = np.arange(0, len(of), 2)
    scaled = scaler(layout, feature_RF, fitted)(feature_RF)
    for at, one in enumerate(layout.fields):
        if one.scaled:
            assert scaled[fitted, at].mean() == pytest.approx(0, abs=1e-5)
            assert scaled[fitted, at].std() == pytest.approx(1, abs=1e-4)
        else:
            np.testing.assert_array_equal(scaled[:, at], feature_RF[:, at])
    feature_RF[1::2] *= 100
    np.testing.assert_array_equal(scaler(layout, feature_RF, fitted)(feature_RF)[fitted], scaled[fitted])


def test_windows_that_cannot_be_are_refused() -> None:
    with pytest.raises(JourneyError, match=r"journeys\.window: 3 with a stride of 4"):
        cut(events(), 3, 4)
    with pytest.raises(JourneyError, match="no user has 42 exposures"):
        drawn(events(), 40, 10, 0)


def test_a_feature_that_never_moved_in_training_says_nothing_later() -> None:
    """As conversions of a log without their times: a network has learned nothing of what it would do with one."""
    layout = Layout(CHANNELS)
    at, moving = layout.index("converted"), layout.index("log_gap")
    feature_RF = np.random.default_rng(3).random((50, layout.size)).astype(np.float32)
    feature_RF[:40, at] = 0.0
    scaled_RF = scaler(layout, feature_RF, np.arange(40))(feature_RF)
    assert feature_RF[40:, at].min() > 0
    np.testing.assert_array_equal(scaled_RF[:, at], 0.0)
    assert np.isfinite(scaled_RF).all()
    assert scaled_RF[:40, moving].std() == pytest.approx(1.0, abs=1e-3)
