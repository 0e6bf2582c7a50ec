"""Campaigns in several currencies: nothing is added, and none decides for the others."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from crossmix.config import load
from crossmix.ledger.experiments import get
from crossmix.ledger.outcomes import CurrencyError
from crossmix.ledger.outcomes_read import read
from crossmix.ledger.store import Store
from serving.experiment import watch
from serving.experiment.verdict import render, status
from tests.support.experiments import deliver, hour_after, make_store, paired_days

NOISE = [0.02, -0.03, 0.01, 0.04, -0.02, 0.0, -0.01, 0.03, -0.04, 0.02]
YEN = {"currency": "JPY", "cycle_budget": 150_000.0}


def _deliver(store: Store, campaign: str, lift: float, budget: float, days: int = 10, shift: int = 0) -> None:
    """Days of one campaign: ROI 1 in control, and a lift with its noise."""
    policy = [math.exp(math.log1p(lift) + NOISE[(day + shift) % 10]) for day in range(days)]
    rows = paired_days(policy, [1.0] * days, campaign_id=campaign)
    for row in rows:
        row["revenue"], row["spend"] = (row[name] * budget / 1_000 for name in ("revenue", "spend"))
    deliver(store, rows)


def _store(folder: Path, euro: float, yen: float, euros: int = 1) -> Store:
    store = make_store(folder, campaigns={f"e{n}": {} for n in range(euros)} | {"j": YEN})
    for n in range(euros):
        _deliver(store, f"e{n}", euro, 1_000.0, shift=n)
    _deliver(store, "j", yen, 150_000.0, shift=4)
    return store


def test_amounts_of_two_currencies_are_never_added(tmp_path: Path) -> None:
    found = status(store := _store(tmp_path, 0.1, 0.1), "first", hour_after(10))
    assert found["currency"] is None
    assert set(found["currencies"]) == {"EUR", "JPY"}
    for arm in ("policy", "control"):
        one = found["arms"][arm]
        assert [one[name] for name in ("planned", "revenue", "spend")] == [None] * 3
        assert one["roi"]["value"] is one["cpa"]["value"] is one["utilisation"]["value"] is None
        # Counts are counts in every currency.
        assert one["clicks"] == 2 * 10 * 100
        assert one["ctr"]["value"] == pytest.approx(0.1)
    assert found["currencies"]["EUR"]["arms"]["policy"]["planned"] == pytest.approx(7_000)
    assert found["currencies"]["JPY"]["arms"]["policy"]["planned"] == pytest.approx(1_050_000)
    assert found["by_cycle"][0]["policy"]["revenue"] is None
    assert found["currencies"]["JPY"]["by_cycle"][0]["control"]["revenue"] == pytest.approx(45_000)
    with pytest.raises(CurrencyError, match=r"revenue: campaigns in EUR, JPY; ask for one currency"):
        read(store, get(store, "first"), hour_after(10)).of("revenue")
    assert any("never added across currencies" in sentence for sentence in found["notes"])
    page = render(json.loads(json.dumps(found, allow_nan=False)))
    assert "EUR + JPY" not in page
    assert page.count("<h3>EUR</h3>") == page.count("<h3>JPY</h3>") == 1
    # Where an arm has no ROI the page says why, and where it is.
    assert "Money is in EUR, JPY, which are never added: ROI, ROAS and CPA of an arm stand below, by currency." in page
    assert ("1 campaigns" in page, "cycle(s)" in page) == (False, False)


def test_the_pooled_lift_is_the_mean_of_the_currencies_by_hand(tmp_path: Path) -> None:
    found = status(_store(tmp_path, 0.2, -0.1, euros=3), "first", hour_after(10))
    euro = [
        math.log(np.mean([math.exp(math.log1p(0.2) + NOISE[(day + n) % 10]) for n in range(3)])) for day in range(10)
    ]
    yen = [math.log1p(-0.1) + NOISE[(day + 4) % 10] for day in range(10)]
    # Three campaigns of four are in euros.
    pooled = np.mean([0.75 * e + 0.25 * y for e, y in zip(euro, yen, strict=True)])
    assert found["lifts"]["roi"]["paired"]["lift"] == pytest.approx(math.expm1(pooled))
    assert [found["currencies"][name]["weight"] for name in ("EUR", "JPY")] == [0.75, 0.25]
    # Each by itself, and its money: what control's ROI of 1 would have earned is the planned budget.
    assert found["currencies"]["JPY"]["lifts"]["roi"]["paired"]["lift"] == pytest.approx(math.expm1(np.mean(yen)))
    money = found["currencies"]["JPY"]["money"]
    assert money["base"] == pytest.approx(10 * 0.7 * 150_000)
    assert money["extra"] == pytest.approx(1_050_000 * math.expm1(np.mean(yen)))
    assert money["low"] < money["extra"] < money["high"] < 0


def test_bad_yen_are_not_added_to_euros(tmp_path: Path) -> None:
    """As amounts the yen are 16 times the euros: added up, ROI fell by 37 %. They end it by their own guardrail."""
    store = _store(tmp_path, 0.2, -0.4, euros=9)
    found = status(store, "first", hour_after(10))
    assert found["lifts"]["roi"]["always_valid"]["low"] > 0
    said = watch.check(store, "first", load("laptop"), hour_after(10))
    assert str(said).startswith("guardrail roi_drop: the policy's ROI in JPY is -")
    assert found["by_campaign"]["rows"][-1]["campaign_id"] == "j"
    assert found["by_campaign"]["rows"][-1]["word"] == "control better"


def test_a_currency_that_hardly_sells_leaves_the_others_their_days(tmp_path: Path) -> None:
    store = make_store(tmp_path, campaigns={"e": {}, "f": {}, "j": YEN})
    _deliver(store, "e", 0.2, 1_000.0)
    _deliver(store, "f", 0.2, 1_000.0, shift=3)
    rows = paired_days([1.0] * 10, [1.0] * 10, campaign_id="j")
    for row in rows:
        row["revenue"] = 100.0 if row["arm"] == "policy" and row["cycle"] == 5 else 0.0
    deliver(store, rows)
    found = status(store, "first", hour_after(10))
    assert found["lifts"]["roi"]["cycles_per_figure"] == 1
    assert found["lifts"]["roi"]["paired"]["lift"] == pytest.approx(0.2, abs=0.02)
    assert "the control arm's numerator is 0" in found["currencies"]["JPY"]["lifts"]["roi"]["reason"]
    assert any(sentence.startswith("cycles in JPY are too empty") for sentence in found["notes"])


def test_per_user_money_of_several_currencies_is_not_compared(tmp_path: Path) -> None:
    store = _store(tmp_path, 0.1, 0.1)
    rows = paired_days([1.0] * 3, [1.0] * 3, campaign_id="e0")
    for number, row in enumerate(rows * 2):
        deliver(store, [row | {"event_id": f"u{number}", "user": f"{row['arm']}{number}"}])
    users = status(store, "first", hour_after(10))["users"]
    assert users["roas"]["reason"] == "users' money is in several currencies; ask for one campaign"
    assert users["ctr"]["policy"] == pytest.approx(0.1)
    one = status(store, "first", hour_after(10), campaign="e0")
    assert one["currency"] == "EUR"
    assert one["users"]["roas"]["policy"] > 1
