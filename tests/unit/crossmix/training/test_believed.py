"""Which feedback a market is refitted on: its own campaigns, cells that are believed, cycles not taken in yet."""

from __future__ import annotations

import numpy as np

from crossmix.feedback import AMOUNTS, Feedback
from crossmix.market.plausible import Suspect
from crossmix.training.believed import Cell, believe, only_clicks, placed

T, NAMES, PLATFORMS = 3, ("a", "b"), ("search", "social")


def table(campaigns: tuple[str, ...] = NAMES, scale: float = 1.0) -> Feedback:
    """Cell (t, c, p) of every amount is scale (100 t + 10 c + p + 1)."""
    t, c, p = np.meshgrid(np.arange(T), np.arange(len(campaigns)), np.arange(2), indexing="ij")
    cells = scale * (100.0 * t + 10 * c + p + 1)
    cycle_TC = np.tile(np.arange(T)[:, None], (1, len(campaigns)))
    amounts = dict.fromkeys(AMOUNTS, cells)
    return Feedback(
        campaigns=campaigns,
        platforms=PLATFORMS,
        cycle_TC=cycle_TC,
        weekday_TC=cycle_TC,
        part_TC=np.full((T, len(campaigns)), 0.5),
        told_TCP=cells,
        **amounts,
    )


def suspect(cycle: int, first: int, arm: str = "policy") -> Suspect:
    return Suspect("impossible", arm, "b", "social", cycle, first, "cvr", 9.0, 1.0, 7.0)


def test_campaigns_stand_in_the_markets_order_and_one_that_was_never_read_is_unknown() -> None:
    found = placed(table(), ("b", "new", "a"))
    assert found.campaigns == ("b", "new", "a")
    np.testing.assert_array_equal(found.clicks_TCP[1], [[111, 112], [np.nan, np.nan], [101, 102]])
    np.testing.assert_array_equal(found.cycle_TC, [[0, -1, 0], [1, -1, 1], [2, -1, 2]])
    np.testing.assert_array_equal(found.part_TC[0], [0.5, 0, 0.5])
    nothing = placed(table(()), ("a",))
    assert nothing.spend_TCP.shape == (T, 1, 2)
    assert np.isnan(nothing.spend_TCP).all()


def test_of_cycles_taken_in_before_clicks_alone_are_known() -> None:
    taken_TC = np.array([[True, False], [False, False], [False, True]])
    found = only_clicks(table(), taken_TC)
    np.testing.assert_array_equal(found.clicks_TCP, table().clicks_TCP)
    for name in set(AMOUNTS) - {"clicks_TCP"}:
        np.testing.assert_array_equal(np.isnan(getattr(found, name)).all(2), taken_TC)


def test_a_suspect_cell_is_unknown_in_both_arms_together_and_open() -> None:
    arms = {"policy": table(), "control": table(scale=2)}
    held = suspect(cycle=2, first=1)
    feedback, undecided = believe(arms, [held])
    assert undecided == (held,)
    unknown = np.zeros((T, 2, 2), bool)
    unknown[1:, 1, 1] = True
    np.testing.assert_array_equal(np.isnan(feedback.revenue_TCP), unknown)
    np.testing.assert_array_equal(feedback.revenue_TCP[~unknown], 3 * table().revenue_TCP[~unknown])


def test_what_a_person_confirmed_is_believed_and_what_they_discarded_is_not() -> None:
    arms = {"policy": table(), "control": table()}
    yes = {Cell("b", "policy", "social", cycle): True for cycle in (1, 2)}
    feedback, undecided = believe(arms, [suspect(2, 1)], yes)
    assert undecided == ()
    assert np.isfinite(feedback.spend_TCP).all()
    # A cell of the stretch that nobody decided on stays open.
    held = suspect(2, 1)
    feedback, undecided = believe(arms, [held], {Cell("b", "policy", "social", 1): True})
    assert undecided == (held,)
    assert np.argwhere(np.isnan(feedback.spend_TCP)).tolist() == [[2, 1, 1]]
    # Discarded, suspect or not.
    feedback, undecided = believe(arms, [], {Cell("a", "control", "search", 0): False})
    assert undecided == ()
    assert np.argwhere(np.isnan(feedback.spend_TCP)).tolist() == [[0, 0, 0]]


def test_decisions_on_what_is_not_read_change_nothing() -> None:
    arms = {"policy": table(), "control": table()}
    cells = [Cell("gone", "policy", "social", 1), Cell("a", "canary", "social", 1), Cell("a", "policy", "radio", 1)]
    feedback, _ = believe(arms, [], dict.fromkeys(cells, False))
    assert np.isfinite(feedback.spend_TCP).all()
