"""Sums, the largest and CUSUM, by hand; looks in parts are looks at once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from crossmix.evaluate.watch.statistic import Sums, Thresholds, Track, look, reference, sums, windowed, windows
from crossmix.market.level_evidence import QUANTITIES
from crossmix.market.levels import Residuals

Q = len(QUANTITIES)
CVR, VALUE, PRICE = (QUANTITIES.index(name) for name in ("cvr", "value", "price"))


def thresholds(wide: tuple[int, ...] = (1,), platforms: int = 2, **changes: float) -> Thresholds:
    given = {"largest": 4.0, "cusum": 5.0, "reference": 0.5, "cooldown": 3} | changes
    scale = np.ones((2, len(wide), platforms, Q))
    return Thresholds(windows=wide, scale_2WPQ=scale, **given)  # type: ignore[arg-type]


def told(z_TPQ: np.ndarray) -> Sums:
    """Residuals of one advertiser with these z, of variance 4; NaN: nothing was told."""
    known = np.isfinite(z_TPQ)[:, None]
    difference = np.nan_to_num(z_TPQ)[:, None] * 2.0
    return Sums(difference + 10.0 * known, 10.0 * known, 4.0 * known)


def course(cycles: int, quantity: int, values: list[float], platform: int = 0, platforms: int = 2) -> np.ndarray:
    z_TPQ = np.zeros((cycles, platforms, Q))
    z_TPQ[: len(values), platform, quantity] = values
    return z_TPQ


def test_campaigns_are_summed_and_those_that_told_nothing_left_out() -> None:
    """Two flights of three campaigns: the first one's second reports nothing, of the second one's third nothing is
    expected."""
    observed, expected, variance = (
        np.array(amounts)[None, :, None, None].repeat(Q, 3)
        for amounts in (
            [5.0, np.nan, 0.0, 1.0, 7.0, 50.0],
            [3.0, 2.0, 0.0, 1.5, 2.5, np.nan],
            [3.0, 9.0, 0.0, 1.0, 8.0, 40.0],
        )
    )
    added = sums(Residuals(observed * 0, observed, expected, variance), flights=2)
    np.testing.assert_allclose(added.observed[0, :, 0, 0], [5.0, 8.0])
    np.testing.assert_allclose(added.expected[0, :, 0, 0], [3.0, 4.0])
    np.testing.assert_allclose(added.z()[0, :, 0, 0], [2 / np.sqrt(3), 4 / 3])
    nobody = sums(Residuals(*(np.full((1, 2, 1, Q), np.nan) for _ in range(4))))
    assert np.isnan(nobody.z()).all()


def test_the_largest_alarms_beyond_its_threshold_and_rests() -> None:
    limits = thresholds()
    looked, _ = look(told(course(8, PRICE, [4.1, 9, 9, 9, -4.2, 4.0])), limits, Track.begin(limits, 1, 2))
    assert looked.by_largest[:, 0, 0, PRICE].tolist() == [True, False, False, False, True, False, False, False]
    assert looked.resting[:, 0, 0, PRICE].tolist() == [False, True, True, True, False, True, True, True]
    assert not looked.alarms[:, 0, 1].any()
    np.testing.assert_allclose(looked.score[:6, 0, 0, PRICE], [4.1, 9, 9, 9, 4.2, 4.0])


def test_at_its_threshold_the_largest_does_not_alarm() -> None:
    limits = thresholds()
    looked, _ = look(told(course(2, PRICE, [4.0, -4.0])), limits, Track.begin(limits, 1, 2))
    assert looked.score[:, 0, 0, PRICE].tolist() == [4.0, 4.0]
    assert not looked.by_largest.any()


def test_a_cell_that_alarms_begins_anew_whichever_rule_it_was() -> None:
    """S = 1.5, 5.5; its largest alarms in the second cycle, in which the CUSUM does not."""
    limits = thresholds(cusum=6.0)
    looked, track = look(told(course(2, CVR, [2.0, 4.5])), limits, Track.begin(limits, 1, 2))
    assert looked.by_largest[:, 0, 0, CVR].tolist() == [False, True]
    assert not looked.by_cusum.any()
    assert looked.since_TFPK[:, 0, 0].tolist() == [[1, 0], [2, 0]]
    assert (track.cusum_2FPK[0, 0, 0, 0], track.since_2FPK[0, 0, 0, 0], track.rest_FPQ[0, 0, CVR]) == (0, 0, 3)


def test_the_scale_is_that_of_the_sign() -> None:
    limits = thresholds()
    scale = limits.scale_2WPQ.copy()
    scale[0, 0, 0, PRICE], scale[1, 0, 0, PRICE] = 2.0, 0.5
    limits = replace(limits, scale_2WPQ=scale)
    looked, _ = look(told(course(2, PRICE, [7.0, -2.1])), limits, Track.begin(limits, 1, 2))
    np.testing.assert_allclose(looked.score[:, 0, 0, PRICE], [3.5, 4.2])
    assert looked.by_largest[:, 0, 0, PRICE].tolist() == [False, True]


@pytest.mark.parametrize("sign", [1, -1])
def test_cusum_adds_up_what_no_cycle_shows(sign: int) -> None:
    """S = 1.5, 3, 2, 3.5, 5, 6.5: beyond 5 in the sixth cycle, after six; then it begins anew."""
    limits = thresholds(cooldown=1)
    values = [2.0, 2.0, -0.5, 2.0, 2.0, 2.0, 2.0, 2.0]
    looked, track = look(told(course(8, CVR, [sign * one for one in values])), limits, Track.begin(limits, 1, 2))
    np.testing.assert_allclose(looked.cusum_TFPK[:6, 0, 0, 0], sign * np.array([1.5, 3, 2, 3.5, 5, 6.5]))
    assert looked.by_cusum[:, 0, 0, CVR].tolist() == [False] * 5 + [True, False, False]
    assert looked.since_TFPK[5, 0, 0, 0] == 6
    # A cycle's rest, in which nothing is added, and one more cycle.
    assert track.cusum_2FPK[:, 0, 0, 0].tolist() == ([1.5, 0] if sign > 0 else [0, 1.5])
    assert not looked.by_largest.any()


def test_quantities_without_a_cusum_have_none() -> None:
    limits = thresholds()
    looked, _ = look(told(course(30, PRICE, [3.0] * 30)), limits, Track.begin(limits, 1, 2))
    assert not looked.alarms.any()


def test_what_is_unknown_adds_nothing_and_keeps_what_was_added() -> None:
    limits = thresholds()
    z_TPQ = course(3, VALUE, [3.0, np.nan, 3.0])
    looked, _ = look(told(z_TPQ), limits, Track.begin(limits, 1, 2))
    np.testing.assert_allclose(looked.cusum_TFPK[:, 0, 0, 1], [2.5, 2.5, 5.0])
    assert np.isnan(looked.score[1, 0, 0, VALUE])
    assert looked.score[1, 0, 1, VALUE] == 0


def test_short_cycles_are_looked_at_in_trailing_days_too() -> None:
    assert windows(1.0) == windows(7.0) == (1,)
    assert windows(1 / 24) == (1, 24)
    assert windows(0.25) == (1, 4)
    assert reference(0.5, 0.25) == 0.25
    z = windowed(told(course(6, PRICE, [2.0] * 6)), (1, 4))
    np.testing.assert_allclose(z[0, :, 0, 0, PRICE], 2.0)
    # Of two cycles at first, then of four.
    np.testing.assert_allclose(z[1, :, 0, 0, PRICE], 2 * np.sqrt([1, 2, 3, 4, 4, 4]))
    limits = thresholds((1, 4), largest=3.9)
    looked, _ = look(told(course(6, PRICE, [2.0] * 6)), limits, Track.begin(limits, 1, 2))
    assert looked.by_largest[:, 0, 0, PRICE].argmax() == 3
    assert looked.window[3, 0, 0, PRICE] == 1


def test_looks_in_parts_see_what_one_look_sees() -> None:
    limits = thresholds((1, 4), largest=2.5, cusum=3.0)
    z_TPQ = np.random.default_rng(1).standard_normal((40, 2, Q))
    z_TPQ[7, 1] = np.nan
    whole, last = look(told(z_TPQ), limits, Track.begin(limits, 1, 2))
    assert whole.by_largest.any()
    assert whole.by_cusum.any()
    track, parts = Track.begin(limits, 1, 2), []
    for first, stop in ((0, 1), (1, 17), (17, 17), (17, 40)):
        part, track = look(told(z_TPQ[first:stop]), limits, track)
        parts.append(part)
    for name in whole._fields:
        axis = 1 if name.startswith("z_W") else 0
        together = np.concatenate([getattr(part, name) for part in parts], axis)
        np.testing.assert_allclose(together, getattr(whole, name), atol=1e-12)
    for name in last._fields:
        np.testing.assert_allclose(getattr(track, name), getattr(last, name), atol=1e-12)


def test_a_trailing_sum_has_the_same_bits_whatever_was_before_it() -> None:
    rng = np.random.default_rng(3)
    difference = rng.normal(size=(60, 1, 2, 5)) * 10.0 ** rng.integers(-6, 6, (60, 1, 2, 5))
    told = Sums(difference, np.zeros_like(difference), np.ones_like(difference))
    whole = windowed(told, (1, 24))
    for first in range(30):
        last = windowed(Sums(*(table[first:] for table in told)), (1, 24))
        np.testing.assert_array_equal(last[:, 23:], whole[:, first + 23 :])
    np.testing.assert_allclose(whole[1, 40], difference[17:41].sum(0) / 24**0.5)
