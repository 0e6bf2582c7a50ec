"""The one definition of the state's statistics."""

import math

import pytest
import torch

from crossmix.history import History, Outcome
from crossmix.state import ALLOCATION


def _outcome(impressions: float, clicks: float, revenue: float, spend: float) -> Outcome:
    one = torch.ones(1, 2)
    return Outcome(100 * one, impressions * one, clicks * one, 2 * one, revenue * one, spend * one, 10 * one)


def _history(window: int = 2, horizon: int = 4, decay: float = 1.0, delay_BPD: torch.Tensor | None = None) -> History:
    return History(
        window=window,
        decay=decay,
        horizon=horizon,
        cycle_budget_B=torch.tensor([20.0]),
        minimum_BP=torch.zeros(1, 2),
        maximum_BP=torch.ones(1, 2),
        share_BP=torch.full((1, 2), 0.5),
        delay_BPD=delay_BPD,
    )


def _field(history: History, name: str) -> float:
    platform, _ = history.statistics(torch.tensor([0.0]))
    return float(platform[0, 0, ALLOCATION.platform(name)])


def test_older_cycles_of_the_window_weigh_less() -> None:
    history = _history(window=3, decay=0.5)
    share = torch.full((1, 2), 0.5)
    # Four cycles in a ring of three: the first has left, and the youngest does not lie in the last slot.
    for impressions, clicks, revenue, spend in [(99, 9, 99, 9), (10, 1, 5, 8), (20, 4, 15, 9), (40, 6, 25, 10)]:
        outcome = _outcome(impressions, clicks, revenue, spend)
        history.update(outcome, outcome.conversions, outcome.revenue, torch.full((1, 2), 40.0), share)
    assert _field(history, "windowed_ctr") == pytest.approx((6 + 4 / 2 + 1 / 4) / (40 + 20 / 2 + 10 / 4))
    assert _field(history, "windowed_roi") == pytest.approx((25 + 15 / 2 + 5 / 4) / (10 * 1.75))
    assert _field(history, "last_roi") == pytest.approx(2.5)
    assert _field(history, "budget_consumed") == pytest.approx((9 + 8 + 9 + 10) / 80)


def test_statistics_by_hand() -> None:
    history = _history()
    share = torch.full((1, 2), 0.5)
    for impressions, clicks, revenue, spend in [(10, 1, 5, 8), (20, 4, 15, 9), (40, 6, 25, 10)]:
        outcome = _outcome(impressions, clicks, revenue, spend)
        history.update(outcome, outcome.conversions, outcome.revenue, torch.full((1, 2), 40.0), share)
    # The window holds the last two cycles.
    assert _field(history, "windowed_roi") == pytest.approx((15 + 25) / 20)
    assert _field(history, "last_roi") == pytest.approx(2.5)
    assert _field(history, "windowed_ctr") == pytest.approx(10 / 60)
    assert _field(history, "utilisation") == pytest.approx(19 / 20)
    assert _field(history, "win_rate") == pytest.approx(0.4)
    assert _field(history, "log_price") == pytest.approx(math.log(10 / 40))
    assert _field(history, "log_supply") == pytest.approx(math.log(40 / 20))
    assert _field(history, "budget_consumed") == pytest.approx(27 / 60)
    _, campaign = history.statistics(torch.tensor([0.0]))
    assert float(campaign[0, ALLOCATION.campaign("elapsed")]) == pytest.approx(0.75)
    assert float(campaign[0, ALLOCATION.campaign("consumed")]) == pytest.approx(54 / 80)
    assert float(history.remaining_per_cycle_B()) == pytest.approx(80 - 54)


def test_an_empty_cycle_keeps_the_last_price_and_divides_by_nothing() -> None:
    history = _history()
    share = torch.full((1, 2), 0.5)
    full = _outcome(10, 1, 5, 8)
    history.update(full, full.conversions, full.revenue, torch.ones(1, 2), share)
    empty = _outcome(0, 0, 0, 0)
    history.update(empty, empty.conversions * 0, empty.revenue, torch.ones(1, 2), share)
    assert _field(history, "log_price") == pytest.approx(math.log(0.8))
    platform, campaign = history.statistics(torch.tensor([3.0]))
    assert torch.isfinite(platform).all()
    assert torch.isfinite(campaign).all()


def test_late_conversions_count_when_they_become_known() -> None:
    history = _history()
    outcome = _outcome(10, 1, 5, 8)
    history.update(outcome, torch.zeros(1, 2), torch.zeros(1, 2), torch.ones(1, 2), torch.full((1, 2), 0.5))
    assert _field(history, "last_roi") == 0.0


def _fed(history: History, rows: list[tuple[float, float, float]], known: torch.Tensor | None = None) -> None:
    """Clicks, conversions and revenue that came, cycle by cycle; `known` of the last."""
    share, one = torch.full((1, 2), 0.5), torch.ones(1, 2)
    for number, (clicks, conversions, revenue) in enumerate(rows):
        seen = known if number == len(rows) - 1 else None
        history.update(_outcome(100, clicks, revenue, 8), conversions * one, revenue * one, one, share, seen)


def test_late_conversions_are_told_over_the_clicks_that_they_are_due_of() -> None:
    """A tenth of all clicks converts, half of them a cycle later; clicks double in the last cycle."""
    half = torch.full((1, 2, 2), 0.5)
    rows = [(100, 10, 200), (100, 10, 200), (100, 10, 200), (200, 15, 300)]
    plain, late = _history(), _history(delay_BPD=half)
    for one in (plain, late):
        _fed(one, rows)
    assert _field(plain, "windowed_cvr") == pytest.approx(25 / 300)
    assert _field(late, "windowed_cvr") == pytest.approx(0.1)
    # Revenue of 20 a conversion, over a plan of 10 a cycle.
    assert _field(late, "windowed_roi") == pytest.approx(20 * 0.1 * 300 / 20)
    assert _field(late, "last_roi") == pytest.approx(20 * 0.1 * 200 / 10)
    _, campaign = late.statistics(torch.tensor([0.0]))
    assert float(campaign[0, ALLOCATION.campaign("windowed_cvr")]) == pytest.approx(0.1)
    # A law that has all come at once is none.
    at_once = _history(delay_BPD=torch.tensor([1.0, 0.0]).expand(1, 2, 2))
    _fed(at_once, rows)
    for mine, others in zip(
        at_once.statistics(torch.tensor([0.0])), plain.statistics(torch.tensor([0.0])), strict=True
    ):
        torch.testing.assert_close(mine, others, rtol=0, atol=0)


def test_of_cycles_that_nobody_knows_nothing_is_due_and_their_clicks_are_as_the_others() -> None:
    half = torch.full((1, 2, 2), 0.5)
    history = _history(window=3, delay_BPD=half)
    _fed(history, [(100, 10, 200), (100, 10, 200), (0, 0, 0)], known=torch.zeros(1, 2, dtype=torch.bool))
    assert _field(history, "windowed_cvr") == pytest.approx(0.1)
    _fed(history, [(100, 10, 200)])
    assert _field(history, "windowed_cvr") == pytest.approx(0.1)
