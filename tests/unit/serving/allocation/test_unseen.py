"""What an answer says of money that nobody ever spent, and of a campaign that is over."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from crossmix.response import Ever
from serving.allocation.question import QuestionError
from serving.allocation.unseen import Unseen

NAMES = ("search", "social")
SPRING: Any = SimpleNamespace(campaign_id="spring", currency="EUR")


def bundle(ended: str | None = None) -> Any:
    """A plan of 100 a cycle, of which the most ever was 120."""
    return SimpleNamespace(
        plans={"spring": SimpleNamespace(currency="EUR", cycle_budget=100.0)},
        ever_of=lambda name: Ever(120.0, (100.0, 30.0)),
        manifest={"ended": {} if ended is None else {"spring": ended}},
    )


def asked(budget: float | None) -> Any:
    return SimpleNamespace(budget=budget, where="instances[1]")


def test_an_arm_may_have_as_much_for_each_user_as_all_and_no_more() -> None:
    whole, part = (Unseen.of(bundle(), SPRING, share) for share in (1.0, 0.3))
    # Eight times the plan, beyond which the bundle's table ends.
    assert (whole.most, part.most) == pytest.approx((800.0, 240.0))
    assert not part.too_much(240.0)
    assert part.too_much(240.1)
    part.check(asked(240.0), "EUR")
    with pytest.raises(QuestionError, match=r"instances\[1\]\.budget: 250 EUR is 6\.9 times .* on 30% of the users"):
        part.check(asked(250.0), "EUR")
    # A budget that nobody asked for is the plan's own.
    part.check(asked(None), "EUR")


def test_a_split_beyond_what_was_ever_spent_is_named() -> None:
    whole, share_P = Unseen.of(bundle(), SPRING, 1.0), np.array([0.5, 0.5])
    assert whole.beyond(NAMES, share_P, 60.0, "EUR") == []
    (said,) = whole.beyond(NAMES, share_P, 80.0, "EUR")
    assert said.startswith("this split is beyond what was ever spent (social 40.00 where the most in a week was 30.00)")
    assert not said.endswith(".")
    (said,) = whole.beyond(NAMES, share_P, 900.0, "EUR")
    assert said.startswith("900 EUR is 7.5 times the most")


def test_money_of_another_currency_and_a_market_without_a_history_say_nothing() -> None:
    yen: Any = SimpleNamespace(campaign_id="spring", currency="JPY")
    other = Unseen.of(bundle(), yen, 1.0)
    assert not other.too_much(1e9)
    assert other.beyond(NAMES, np.array([0.5, 0.5]), 1e9, "JPY") == []


def test_a_campaign_that_is_over_says_so_with_what_becomes_of_its_money() -> None:
    assert Unseen.of(bundle(), SPRING, 1.0).over(SPRING, 50.0) == []
    over = Unseen.of(bundle("2025-03-06"), SPRING, 1.0)
    assert over.over(SPRING, 50.0)[0].startswith("campaign spring ended on 2025-03-06 in the history")
    assert over.over(SPRING, 50.0)[0].endswith("50.00 EUR of this cycle are for the case that it came back")
    assert over.over(SPRING, 0.0)[0].endswith("resume it where it comes back")
