"""How sure a change is: what widens it, what held-out weeks say, and how many days it lacks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossmix.evaluate.decision.backtest import Backtest
from crossmix.evaluate.decision.change import Change
from crossmix.evaluate.decision.elasticities import UNKNOWN
from crossmix.evaluate.decision.judged import BEYOND, PRIOR, Judged, ends, furthest, judged

TRIED = np.ones(2, bool)


def made(part: float = 1.0, gain: float = 20.0, draws: int = 4_000) -> Change:
    """Two platforms a and b of 100 each; the change moves money from b to a."""
    now_P, then_P = np.array([100.0, 100.0]), np.array([100.0 + 50 + gain, 100.0 - 50])
    return Change(
        campaign="x",
        platforms=("a", "b"),
        budget=100.0,
        part=part,
        today_P=np.array([0.5, 0.5]),
        best_P=np.array([0.8, 0.2]),
        now_P=now_P,
        then_P=then_P,
        now_NP=np.broadcast_to(now_P, (draws, 2)),
        then_NP=np.broadcast_to(then_P, (draws, 2)),
        marginal_P=np.array([1.5, 1.0]),
        marginal_NP=np.broadcast_to([1.5, 1.0], (draws, 2)),
        probe=0.02,
    )


def backtested(
    known: float = 0.01, level_W: tuple[tuple[float, float], ...] = ((0.0, 0.0),) * 8,
    off: tuple[float, float] = (0.0, 0.0), off_error: float = UNKNOWN, most: float = 1e9, common: float = 0.0,
    shown: tuple[float, float] = (-0.5, -0.5), on_purpose: tuple[float, float] = (0.0, UNKNOWN),
) -> Backtest:  # fmt: skip
    level_WCP = np.array(level_W).reshape(-1, 1, 2)
    zero_W = np.zeros(len(level_WCP))
    full = {
        name: np.broadcast_to(value, (1, 2)).astype(float)
        for name, value in (
            ("off_CP", off),
            ("off_error_CP", off_error),
            ("known_CP", shown),
            ("known_error_CP", known),
            ("known_common_CP", common),
            ("on_purpose_CP", on_purpose[0]),
            ("on_purpose_error_CP", on_purpose[1]),
        )
    }
    return Backtest(
        block=7, level_WCP=level_WCP, booked_W=zero_W, predicted_W=zero_W, as_before_W=zero_W, cycles=182, held_out=56,
        usual_most_CP=np.array([[most, 1e9]]), **full,
    )  # fmt: skip


def judge(change: Change | None = None, tried_P: np.ndarray = TRIED, **test: object) -> Judged:
    return judged(change or made(), backtested(**test), 0, tried_P)  # type: ignore[arg-type]


def test_what_is_known_well_is_sure() -> None:
    one = judge()
    assert one.probability == 1
    assert one.gain_N.mean() == pytest.approx(20, abs=0.2)
    assert one.sure(0.95)
    assert one.more() == 0
    assert not one.still_P.any()


def test_spend_that_never_moved_leaves_the_priors_width() -> None:
    """Elasticities are known to 0.25: a platform's revenue then to that times ln of its new amount over the old."""
    one = judge(known=UNKNOWN)
    ratio_P = np.log([0.8 / 0.5, 0.2 / 0.5])
    expected = np.sqrt(((np.array([170.0, 50.0]) * ratio_P * PRIOR) ** 2).sum())
    assert one.gain_N.std() == pytest.approx(expected, rel=0.1)
    assert one.probability < 0.9
    assert not one.sure(0.95)
    assert one.still_P.all()
    assert one.more() is None


def test_a_spread_that_the_fit_has_already_is_not_added_again() -> None:
    narrow = made()
    rng = np.random.default_rng(0)
    elasticity_NP = np.array([0.75, 0.5]) + 0.1 * rng.standard_normal((4_000, 2))
    drawn = Change(**{
        **{name: getattr(narrow, name) for name in narrow.__dataclass_fields__},
        "marginal_NP": elasticity_NP * narrow.now_P / 50,
        "then_NP": narrow.then_P * np.exp((elasticity_NP - [0.75, 0.5]) * narrow.log_ratio_P),
    })  # fmt: skip
    own, both = judge(drawn, known=0.01), judge(drawn, known=0.1)
    assert both.gain_N.std() == pytest.approx(own.gain_N.std(), rel=0.05)


def test_levels_that_came_are_what_the_weeks_would_have_gained() -> None:
    """Where a brings 30 % less and b 40 % more than fitted, the change loses."""
    worse = (float(np.log(0.7)), float(np.log(1.4)))
    one = judge(level_W=(worse,) * 8)
    weeks = one.weeks(0.95)
    assert weeks is not None
    assert weeks[0] == pytest.approx(70 * 0.7 - 50 * 1.4)
    assert (one.weeks_above, one.probability) == (0.0, 0.0)
    mixed = judge(level_W=((0.0, 0.0), worse) * 4)
    found = mixed.weeks(0.95)
    assert found is not None
    assert found[0] == pytest.approx((20 + 70 * 0.7 - 50 * 1.4) / 2)
    assert found[1] < 0 < found[2]
    assert judge(level_W=()).weeks(0.95) is None
    assert not mixed.sure(0.95)
    assert judge(level_W=((0.0, 0.0),) * 3).sure(0.95) is False  # three blocks tell nothing


def test_days_that_are_lacking_fall_with_the_square_of_the_distance() -> None:
    one = judge(known=0.2)
    distance = one.gain_N.mean() / one.gain_N.std()
    assert 1.645 / 4 < distance < 1.645
    assert one.more() == int(np.ceil(182 * ((1.645 / distance) ** 2 - 1)))


def test_money_that_answered_otherwise_in_held_out_weeks_contradicts() -> None:
    """An elasticity of a that is lower by 0.9, and one of b that is higher by as much."""
    one = judge(off=(-0.9, 0.9), off_error=0.02)
    assert one.otherwise is not None
    mean, high = one.otherwise
    ratio_P = np.log([1.6, 0.4])
    assert mean == pytest.approx((np.array([170.0, 50.0]) * np.exp([-0.9, 0.9] * ratio_P)).sum() - 200)
    assert mean < high < 0
    assert not one.sure(0.95)
    assert judge(off=(-0.9, 0.9), off_error=1.0).otherwise is None
    assert judge(off=(0.1, 0.0), off_error=0.02).otherwise is None


def test_held_out_weeks_are_held_against_the_fit_of_the_time_before_them() -> None:
    """All of the history says 20 more; the fit of the time before the held-out weeks says 5 less, or 60 more."""
    now_P = np.array([100.0, 100.0])
    for then_P in (np.array([145.0, 50.0]), np.array([190.0, 70.0])):
        one = judged(made(), backtested(level_W=((0.0, np.log(1.1)),) * 8), 0, TRIED, earlier=(now_P, then_P))
        assert one.probability > 0.99
        assert one.gain_N.mean() == pytest.approx(70 - 50 * 1.1, abs=0.2)
        weeks = one.weeks(0.95)
        assert weeks is not None
        gained = (then_P[0] - 100) + (then_P[1] - 100) * 1.1
        assert weeks[0] == pytest.approx(gained)
        assert one.sure(0.95) == (gained > 0)
    # Money that moved in those weeks is told as what is off of that fit's answer, and moves no draw of the other.
    off = {"off": (-0.9, 0.9), "off_error": 0.02}
    one = judged(made(), backtested(**off), 0, TRIED, earlier=(now_P, np.array([300.0, 90.0])))  # type: ignore[arg-type]
    assert one.otherwise is None
    assert one.gain_N.mean() == pytest.approx(20, abs=0.2)
    assert one.sure(0.95)
    # What that fit tells of today counts, too.
    one = judged(made(), backtested(**off), 0, TRIED, earlier=(np.array([400.0, 100.0]), np.array([300.0, 90.0])))  # type: ignore[arg-type]
    assert one.otherwise is not None
    assert one.otherwise[0] == pytest.approx(300 * 1.6**-0.9 + 90 * 0.4**0.9 - 500)


def test_beyond_what_was_spent_returns_may_fall_faster() -> None:
    """a goes to 80 where 55 was most: its elasticity may fall by half a point for each ln beyond, or not at all."""
    within, beyond = judge(), judge(most=55.0)
    assert within.by_platform_NP[:, 0].mean() == pytest.approx(70, rel=0.01)
    far = np.log(80 / 55)
    lost = 1 - (beyond.by_platform_NP[:, 0] + 100) / 170
    assert np.median(lost) == pytest.approx(1 - np.exp(-0.5 * 0.6745 * BEYOND * far**2), rel=0.1)
    assert lost.min() == pytest.approx(0, abs=0.05)


def test_a_platform_that_was_never_tried_is_a_guess() -> None:
    new = made()
    fields = {name: getattr(new, name) for name in new.__dataclass_fields__}
    fields |= {"today_P": np.array([0.0, 1.0]), "now_P": np.array([0.0, 100.0])}
    fields |= {"now_NP": np.tile([0.0, 100.0], (4_000, 1))}
    one = judge(Change(**fields), np.array([False, True]))
    assert one.by_platform_NP[:, 0].std() > 0.5 * 170
    assert one.by_platform_NP[:, 0].mean() == pytest.approx(170, rel=0.1)
    assert one.by_platform_NP[:, 1].std() < 2
    assert one.new_P.tolist() == [True, False]
    assert not one.sure(0.5)


def probing(then_b: float, share: float = 0.02) -> Change:
    """All money is on b; the change gives a, never tried, a share, and b then earns `then_b` for 100 today."""
    return replace(
        made(),
        today_P=np.array([0.0, 1.0]),
        best_P=np.array([share, 1 - share]),
        now_P=np.array([0.0, 100.0]),
        now_NP=np.tile([0.0, 100.0], (4_000, 1)),
        then_P=np.array([30.0, then_b]),
        then_NP=np.tile([30.0, then_b], (4_000, 1)),
    )


def test_no_proof_rests_on_what_a_probe_would_earn() -> None:
    """The probe is paid for by b, and what it brings is told, as borrowed."""
    new = np.array([False, True])
    rests, pays = judge(probing(99.0), new), judge(probing(101.0), new)
    for one, gain in ((rests, 29.0), (pays, 31.0)):
        assert one.gain_N.mean() == pytest.approx(gain, rel=0.1)
        assert one.probability > 0.99
        assert one.weeks(0.95) == pytest.approx((gain, gain, gain))
        assert one.probed_P.tolist() == [True, False]
        assert one.counted_P.tolist() == [False, True]
    assert rests.seen_N.mean() == pytest.approx(-1, abs=0.2)
    assert (rests.gain, rests.moved) == pytest.approx((-1, 1))
    assert (rests.weeks_above, pays.weeks_above) == (0, 1)
    assert not rests.sure(0.5)
    assert pays.sure(0.95)
    assert rests.more() is None
    assert pays.more() == 0
    more = judge(probing(101.0, share=0.03), new)
    assert more.counted_P.all()
    assert not more.sure(0.5), "more than a probe of it needs a proof that no history has"


def test_budgets_that_only_moved_together_prove_nothing() -> None:
    """However many draws are above 0: the elasticities that they are drawn around are money's or demand's."""
    one = judge(common=0.22)
    assert one.probability == 1
    assert one.together_P.all()
    assert not one.sure(0.5)
    assert one.more() is None
    assert judge(common=0.1).sure(0.95)
    still = judge(replace(made(), best_P=np.array([0.5, 0.5])), common=0.22)
    assert not still.together_P.any(), "a change that moves nothing there needs none of it"


@pytest.mark.parametrize(("fitted", "whole"), [(0.0, 0.7), (0.5, 0.7), (1.2, 1.2)])
def test_what_the_fit_leaves_open_of_a_new_platform_is_not_added_again(fitted: float, whole: float) -> None:
    """ln revenue there strays by NEW in all, or by what the fit leaves open where that is more."""
    new = made()
    fields = {name: getattr(new, name) for name in new.__dataclass_fields__}
    drawn_N = np.exp(fitted * np.random.default_rng(1).standard_normal(4_000))
    fields |= {"today_P": np.array([0.0, 1.0]), "now_P": np.array([0.0, 100.0])}
    fields |= {
        "now_NP": np.tile([0.0, 100.0], (4_000, 1)),
        "then_NP": new.then_P * np.stack([drawn_N, np.ones(4_000)], 1),
    }
    one = judge(Change(**fields), np.array([False, True]))
    assert np.log(one.by_platform_NP[:, 0]).std() == pytest.approx(whole, rel=0.03)


def test_the_longest_part_that_is_sure_is_taken() -> None:
    unsure, sure = judge(made(part=1.0), known=0.2), judge(made(part=0.5))
    assert furthest([unsure, sure, judge(made(part=0.25))], 0.95) is sure
    assert furthest([unsure], 0.95) is None


@settings(max_examples=400, deadline=None)
@given(
    draws=st.integers(20, 2_000), mean=st.floats(-2, 4), sure=st.floats(0.55, 0.995), seed=st.integers(0, 2**32 - 1),
    whole=st.booleans(),
)  # fmt: skip
def test_an_interval_lies_above_0_where_the_gain_is_as_sure_as_that(
    draws: int, mean: float, sure: float, seed: int, whole: bool
) -> None:
    """Of any drawn gains, ties at 0 among them: what is proved never shows an interval that holds 0."""
    gain_N = np.random.default_rng(seed).normal(mean, 1, draws)
    if whole:
        gain_N = np.round(gain_N)
    low, high = ends(gain_N, sure)
    assert low <= high
    if (gain_N > 0).mean() >= sure:
        assert low > 0
    if (gain_N > 0).mean() < sure - 1 / draws:
        assert low <= 0
    if (gain_N > 0).mean() <= 1 - sure:
        assert high <= 0


@pytest.mark.parametrize("nothing", [19, 20, 21])
def test_the_threshold_itself_is_above_0(nothing: int) -> None:
    """Of 400 draws 20 may bring nothing, however much they lose."""
    gain_N = np.concatenate([np.full(nothing, -1e6), np.full(400 - nothing, 1.0)])
    assert (ends(gain_N, 0.95)[0] > 0) == ((gain_N > 0).mean() >= 0.95) == (nothing <= 20)


@pytest.mark.parametrize("crumb", [0.0, 1.5e-8, 5e-5])
def test_money_of_nothing_is_no_amount_to_be_a_multiple_of(crumb: float) -> None:
    """An idle platform has nothing, whatever its share was rounded to: the gain is what it then earns."""
    whole = made()
    shape_NP = np.exp(0.1 * np.random.default_rng(2).standard_normal((4_000, 2)))
    now_P, then_P = np.array([1.5 * 100 * crumb, 150.0]), np.array([90.0, 100.0])
    change = replace(
        whole,
        today_P=np.array([crumb, 1 - crumb]),
        best_P=np.array([0.4, 0.6]),
        now_P=now_P,
        then_P=then_P,
        # At so small an amount draws differ by orders of magnitude.
        now_NP=now_P * shape_NP ** [-30, 1],
        then_NP=then_P * shape_NP,
        marginal_NP=np.broadcast_to([40.0, 1.0], (4_000, 2)),
    )
    one = judge(change)
    assert change.log_ratio_P[0] == 0
    assert (change.elasticity_NP[:, 0] == 0).all()
    assert one.by_platform_NP[:, 0].mean() == pytest.approx(90 - now_P[0], rel=0.02)
    assert one.by_platform_NP[:, 0].std() == pytest.approx(9, rel=0.05)
    assert one.probability == pytest.approx(1)


def test_where_spend_follows_demand_money_does_anything_up_to_what_is_shown() -> None:
    """Elasticity 0.75 of a falls to one between 0 and that: its 170 are multiplied by 1.6^-0.75 V, V uniform."""
    one = judge(shown=(1.3, -0.5))
    fall = 0.75 * np.log(1.6)
    assert one.follows_P == pytest.approx([1, 0], abs=1e-3)
    assert one.gain_N.mean() == pytest.approx(170 * (1 - np.exp(-fall)) / fall - 150, abs=0.7)
    assert one.probability == pytest.approx(np.log(170 / 150) / fall, abs=0.03)
    assert one.demand_led_P.tolist() == [True, False]
    assert not one.sure(0.95)
    assert one.more() is None or one.more() > 0


def test_money_moved_on_purpose_outweighs_that() -> None:
    one = judge(shown=(1.3, -0.5), on_purpose=(0.75, 0.01))
    assert one.gain_N.mean() == pytest.approx(20, abs=0.7)
    assert one.sure(0.95)
    assert not one.demand_led_P.any()


def test_a_platform_never_tried_has_no_spend_that_could_follow() -> None:
    assert judge(shown=(1.3, 1.3), tried_P=np.array([True, False])).follows_P[1] == 0
