from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from crossmix.feedback import AMOUNTS, Feedback, pooled


def of(spend: object, part: float, told: object) -> Feedback:
    """One campaign, two platforms; every amount is the spend."""
    amount = np.asarray(spend, float)[:, None, :]
    cycles = len(amount)
    return Feedback(
        campaigns=("spring",),
        platforms=("search", "video"),
        cycle_TC=np.arange(cycles)[:, None],
        weekday_TC=np.arange(cycles)[:, None] % 7,
        part_TC=np.full((cycles, 1), part),
        told_TCP=np.asarray(told, float)[:, None, :],
        **dict.fromkeys(AMOUNTS, amount),
    )


def test_arms_add_up_and_what_one_lacks_is_unknown() -> None:
    policy = of([[7, np.nan], [7, 0]], 0.7, [[7, 7], [7, 7]])
    control = of([[3, 3], [np.nan, np.nan]], 0.3, [[3, 3], [3, 3]])
    both = pooled([policy, control])
    np.testing.assert_array_equal(both.spend_TCP[:, 0], [[10, np.nan], [np.nan, np.nan]])
    np.testing.assert_array_equal(both.told_TCP[:, 0], [[10, 10], [10, 10]])
    np.testing.assert_allclose(both.part_TC, 1.0)
    assert both.reported_TCP[:, 0].tolist() == [[True, False], [False, False]]


def test_an_arm_that_is_over_lacks_nothing() -> None:
    policy, over = of([[7, 2]], 1.0, [[7, 2]]), of([[np.nan, np.nan]], 0.0, [[0, 0]])
    np.testing.assert_array_equal(pooled([policy, over]).clicks_TCP[:, 0], [[7, 2]])


def test_the_most_that_was_told_is_a_table_of_its_own_only_where_it_is_another() -> None:
    policy, control = of([[7, 2]], 0.75, [[7, 2]]), of([[1, 3]], 0.25, [[1, 3]])
    both = pooled([policy, control])
    assert both.most_TCP is both.told_TCP
    more = pooled([policy, replace(control, most_TCP=control.told_TCP + 1)])
    np.testing.assert_array_equal(more.told_TCP[:, 0], [[8, 5]])
    np.testing.assert_array_equal(more.most_TCP[:, 0], [[9, 6]])


def test_quarantined_cells_are_unknown_and_the_rest_stays() -> None:
    kept = of([[7, 2], [5, 4]], 1.0, [[7, 2], [5, 4]])
    held = kept.without(np.array([[[True, False]], [[False, False]]]))
    np.testing.assert_array_equal(held.revenue_TCP[:, 0], [[np.nan, 2], [5, 4]])
    np.testing.assert_array_equal(held.told_TCP, kept.told_TCP)
    assert len(held.between(1, 2)) == 1
    np.testing.assert_array_equal(held.between(1, 2).clicks_TCP[:, 0], [[5, 4]])
    assert held.between(1, 2).weekday_TC.tolist() == [[1]]
    assert held.only(np.array([False])).campaigns == ()
    assert held.only(np.array([False])).spend_TCP.shape == (2, 0, 2)


def test_arms_of_other_cycles_do_not_add_up() -> None:
    one = of([[7, 2], [5, 4]], 1.0, [[7, 2], [5, 4]])
    with pytest.raises(ValueError, match="other cycles"):
        pooled([one, one.between(0, 1)])
