"""What is served of what was proved."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from crossmix.artifacts.decided import too_short
from crossmix.config import laptop
from crossmix.evaluate.decision import table
from crossmix.evaluate.decision.table import SLACK, Decided, as_today, withheld
from crossmix.market.model import Market
from tests.support.markets import make_market, of_totals

MARKET = make_market(platforms=3, campaigns=2)
TODAY, BEST = np.array([0.5, 0.3, 0.2]), np.array([0.3, 0.3, 0.4])


def decided(
    *proved: bool, part: float = 0.5, new: float | None = None, today: np.ndarray = TODAY, best: np.ndarray = BEST
) -> Decided:
    change = SimpleNamespace(today_P=today, best_P=best, part=part, new=new, probe=0.02)
    one = SimpleNamespace(change=change, tried_P=today > 0, gain=30.0, moved=230.0)
    return Decided((one,) * len(proved), proved, SimpleNamespace(), MARKET)  # type: ignore[arg-type]


def test_limits_keep_a_split_between_today_and_what_was_proved() -> None:
    held = decided(True, False).within(MARKET)
    assert held.minimum[0].tolist() == pytest.approx([0.3, 0.3, 0.2 - SLACK])
    assert held.maximum[0].tolist() == pytest.approx([0.5 + SLACK, 0.3, 0.4])
    # Of the second campaign nothing was proved: it stays as today.
    assert held.minimum[1].tolist() == pytest.approx(TODAY - SLACK)
    assert held.maximum[1].tolist() == pytest.approx(TODAY + SLACK)
    assert (MARKET.minimum == 0).all()


def test_the_whole_way_and_nothing_proved_leave_the_limits() -> None:
    free = decided(True, True, part=1.0).within(MARKET)
    assert torch.equal(free.minimum, MARKET.minimum)
    assert torch.equal(free.maximum, MARKET.maximum)
    assert decided(False, False).within(MARKET) is MARKET


def test_the_whole_way_without_a_platform_that_was_never_tried_keeps_to_it() -> None:
    held = decided(True, True, part=1.0, new=0.0).within(MARKET)
    assert held.maximum[0].tolist() == pytest.approx([0.5 + SLACK, 0.3, 0.4])
    assert held.minimum[0].tolist() == pytest.approx([0.3, 0.3, 0.2 - SLACK])


def test_what_was_never_tried_has_a_probe_at_most() -> None:
    """As much as the split that was judged gives it, and no slack beyond that."""
    today, best = np.array([0.6, 0.4, 0.0]), np.array([0.5, 0.48, 0.02])
    held = decided(True, False, part=1.0, new=0.02, today=today, best=best).within(MARKET)
    assert held.maximum[0].tolist() == pytest.approx([0.6 + SLACK, 0.48, 0.02])
    assert held.maximum[1].tolist() == pytest.approx([0.6 + SLACK, 0.4 + SLACK, SLACK])
    # The whole way to a best split that does with less than a probe leaves the others free, and a probe there.
    whole = decided(True, part=1.0, today=today, best=np.array([0.5, 0.495, 0.005])).within(MARKET)
    assert whole.maximum[0].tolist() == pytest.approx([1.0, 1.0, 0.02])
    assert torch.equal(whole.minimum, MARKET.minimum)


def test_limits_that_are_tighter_stay() -> None:
    tight = replace(MARKET, maximum=torch.full_like(MARKET.maximum, 0.45))
    assert decided(True, True).within(tight).maximum[0].tolist() == pytest.approx([0.45, 0.3, 0.4])


def test_the_margin_is_the_gain_over_what_is_moved() -> None:
    assert decided(True, True).margin == pytest.approx(60 / 460)


def test_today_is_where_the_money_will_be_served() -> None:
    moved = replace(MARKET, budget=3 * MARKET.budget, static=MARKET.static.flip(1))
    market = as_today(MARKET, moved)
    assert torch.equal(market.budget, moved.budget)
    assert torch.equal(market.static, moved.static)
    assert market.value["ctr"] is MARKET.value["ctr"]


def test_both_fits_are_asked_at_todays_money_and_no_curves_end_is_a_wall(monkeypatch: pytest.MonkeyPatch) -> None:
    fitted = of_totals(MARKET)
    # Money that grew sixteenfold since; a platform's curve ends below it.
    served = replace(fitted, budget=16 * fitted.budget, static=fitted.static.flip(1))
    asked: dict[str, Market] = {}

    def answering(name: str, answer: Any) -> Any:
        def answered(market: Market, *_: Any, **__: Any) -> Any:
            asked[name] = market
            return answer

        return answered

    for name, answer in (
        ("backtest", SimpleNamespace(cycles=182)),
        ("changes", (("change",),)),
        ("retold", lambda _: None),
    ):
        monkeypatch.setattr(table, name, answering(name, answer))
    monkeypatch.setattr(table, "judged", lambda change, *_, **__: SimpleNamespace(sure=lambda _: False))
    found = table.decided(laptop(), fitted, served, SimpleNamespace())  # type: ignore[arg-type]
    assert found.market is served
    for name in ("backtest", "changes", "retold"):
        assert torch.equal(asked[name].budget, served.budget), name
        assert torch.equal(asked[name].static, served.static), name
        assert (asked[name].value["requests"] > served.value["requests"]).all(), name


def test_a_campaign_that_is_over_is_not_judged_and_money_far_beyond_what_was_fitted_neither() -> None:
    today = MARKET.budget[:, None] * MARKET.static
    seen = torch.cat([today, MARKET.budget[:, None]], 1)
    market = replace(MARKET, most=seen)
    assert withheld(market, 0) is None
    assert withheld(MARKET, 0) is None
    over = replace(market, ended=(None, "2025-03-06"))
    assert withheld(over, 0) is None
    assert withheld(over, 1) == "campaign c1 ended on 2025-03-06: it spends nothing today, so nothing of it is judged"
    part = torch.tensor([1.0, 0.4, 1.0, 1.0])
    reason = withheld(replace(market, most=seen * part), 0)
    assert reason is not None
    assert reason.startswith(f"of campaign c0 p1 spends {float(today[0, 1]):,.2f} USD a cycle today, and ")
    assert "p0" not in reason
    # Twice what was seen is judged; a platform that has next to nothing is no reason.
    assert withheld(replace(market, most=seen / 1.9), 0) is None


def test_limits_that_what_was_proved_drew_are_named() -> None:
    assert decided(True, False).narrowed(MARKET) == {
        "c0": {"min": ["p0", "p1", "p2"], "max": ["p0", "p1", "p2"]},
        "c1": {"min": ["p0", "p1", "p2"], "max": ["p0", "p1", "p2"]},
    }
    assert decided(True, True, part=1.0).narrowed(MARKET) == {}
    tight = replace(MARKET, maximum=torch.full_like(MARKET.maximum, 0.45))
    assert decided(True, True).narrowed(tight)["c0"]["max"] == ["p1", "p2"]


@pytest.mark.parametrize(
    ("cycles", "hours", "lacks"),
    [
        (20, 168, "20 weeks, and a proof needs 28, 8 weeks more"),
        (27, 168, "27 weeks, and a proof needs 28, 1 week more"),
        (14, 336, "14 cycles of 336 h, and a proof needs 28, 14 cycles of 336 h more"),
    ],
)
def test_of_few_cycles_nothing_is_proved(cycles: int, hours: int, lacks: str) -> None:
    assert lacks in str(too_short(cycles, hours))


def test_of_enough_cycles_it_may_be() -> None:
    assert too_short(28, 168) is None
    assert too_short(28, 24) is None
