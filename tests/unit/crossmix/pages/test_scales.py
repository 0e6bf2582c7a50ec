"""Scales and their ticks."""

from __future__ import annotations

import pytest

from crossmix.pages.scales import Axis, Scale, as_percent, plain, round_step, whole_ticks


def test_a_scale_is_linear_or_logarithmic_and_may_fall() -> None:
    assert Scale(10, 20).part(12.5) == 0.25
    assert Scale(20, 10).part(12.5) == 0.75
    assert Scale(0.01, 1, log=True).part(0.1) == pytest.approx(0.5)
    assert Scale(3, 3).part(3) == 0.5


@pytest.mark.parametrize(("rough", "step"), [(0.9, 1), (1, 1), (1.1, 2), (2.1, 2.5), (2.6, 5), (5.1, 10), (0.03, 0.05)])
def test_steps_are_round(rough: float, step: float) -> None:
    assert round_step(rough) == pytest.approx(step)


def test_ticks_lie_within_and_about_as_many_as_asked() -> None:
    assert Scale(0, 582).ticks(6) == [0, 100, 200, 300, 400, 500]
    assert Scale(-0.5, 7.5).ticks(4) == [0, 2, 4, 6]
    assert Scale(0.005, 0.4, log=True).ticks(4) == pytest.approx([0.01, 0.03, 0.1, 0.3])
    assert Scale(0.05, 0.4, log=True).ticks(4) == pytest.approx([0.05, 0.1, 0.2])
    for high in (0.3, 1, 7, 123, 1e6):
        ticks = Scale(0, high).ticks(5)
        assert 2 <= len(ticks) <= 6
        assert all(0 <= tick <= high * (1 + 1e-9) for tick in ticks)


def test_whole_ticks() -> None:
    assert whole_ticks(0, 0) == [(0, "0")]
    assert whole_ticks(1, 14, 8) == [(value, str(value)) for value in (2, 4, 6, 8, 10, 12, 14)]
    assert [value for value, _ in whole_ticks(0, 4)] == [0, 1, 2, 3, 4]


def test_ticks_are_told_apart_by_their_decimals() -> None:
    assert plain([0.85, 0.9, 0.95, 1.0]) == ["0.85", "0.90", "0.95", "1.00"]
    assert plain([-0.5, 0, 0.5]) == ["−0.5", "0.0", "0.5"]
    assert plain([1, 1.0000005]) == ["1.0000000", "1.0000005"]
    assert plain([0, 0.25, 0.5]) == ["0.00", "0.25", "0.50"]
    assert plain([0, 2000]) == ["0", "2000"]
    assert plain([]) == []
    assert as_percent(0.125) == "12.5\u202f%"
    assert as_percent(-0.05) == "−5\u202f%"


def test_an_axis_writes_its_own_ticks_or_those_of_its_scale() -> None:
    assert Axis(Scale(0, 1), most=2).marks() == [(0.0, "0.0"), (0.5, "0.5"), (1.0, "1.0")]
    assert Axis(Scale(0, 1), form=as_percent, most=1).marks() == [(0.0, "0\u202f%"), (1.0, "100\u202f%")]
    assert Axis(Scale(0, 1), ticks=[(0.3, "here")]).marks() == [(0.3, "here")]
    assert Axis(Scale(0, 1), own=[1]).ink(1) != Axis(Scale(0, 1), own=[1]).ink(0)
