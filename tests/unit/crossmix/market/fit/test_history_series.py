"""Series of a spend history: levels that moved where budgets did, against the planted end."""

from __future__ import annotations

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from crossmix.market.fit.history_series import History
from crossmix.market.fit.slow import Slow
from crossmix.market.fit.spend_history import SLOPE

DAYS, PLATFORMS, SEEDS = 182, 4, range(6)
SLOPES = {name: spread.mean for name, spread in SLOPE.items()}


def wandering(rng: np.random.Generator, deviation: float) -> np.ndarray:
    x = rng.standard_normal((DAYS, PLATFORMS))
    for t in range(1, DAYS):
        x[t] = 0.8 * x[t - 1] + 0.6 * x[t]
    return deviation * x


def totals(seed: int, demand_T1: np.ndarray, budget_T1: np.ndarray) -> dict[str, np.ndarray]:
    """Impressions ~ demand (money / demand)^0.8, clicks ~ demand (money / demand)^0.7; both drift by 10 %."""
    rng = np.random.default_rng(seed)
    spend = 200 * budget_T1 * np.exp(wandering(rng, 0.35))
    each = spend / (200 * demand_T1)
    impressions = 40_000 * demand_T1 * each**0.8 * np.exp(wandering(rng, 0.1))
    clicks = rng.poisson(0.015 * 40_000 * demand_T1 * each**0.7 * np.exp(wandering(rng, 0.1)))
    conversions = rng.binomial(clicks, 0.05).astype(float)
    counts = {"impressions": np.round(impressions), "clicks": clicks.astype(float), "conversions": conversions}
    return {name: table[:, None] for name, table in ({"spend": spend} | counts | {"revenue": 20 * conversions}).items()}


def of(table: dict[str, np.ndarray]) -> History:
    return History.of(table, np.ones(DAYS, bool), np.arange(DAYS) % 7, 14)


def told(table: dict[str, np.ndarray], demand: float) -> tuple[float, dict[str, float]]:
    """ln of clicks told at the end at the usual spend over the true, and what each level did slowly since the start."""
    history = of(table)
    lines, _ = history.lines(SLOPES)
    each = np.exp(history.usual_log_spend()[0]) / (200 * demand)
    clicks = lines["impressions"].beta_KR[:, 0] + lines["clicks"].beta_KR[:, 0]
    true = np.log(0.015 * 40_000 * demand) + 0.7 * np.log(each)
    return float((clicks - true).mean()), {name: float(line.slow_TK[0].mean()) for name, line in lines.items()}


@pytest.mark.parametrize("times", [2.5, 1 / 2.5])
def test_demand_that_trends_with_all_budgets_is_followed_to_its_end(times: float) -> None:
    demand_T1 = times ** np.linspace(-0.5, 0.5, DAYS)[:, None]
    found = [told(totals(seed, demand_T1, demand_T1), float(demand_T1[-1, 0])) for seed in SEEDS]
    # At the same money demand moves impressions by its power 0.2 and clicks by 0.3 of it in all. Told as if each of the
    # two small trends were most likely none, the end was 0.05 and 0.07 too near to the mean.
    assert abs(np.mean([error for error, _ in found])) < 0.045
    slow = float(np.mean([slow["impressions"] + slow["clicks"] for _, slow in found]))
    assert slow == pytest.approx(-0.3 * np.log(times), abs=0.075)
    assert abs(np.mean([slow["conversions"] for _, slow in found])) < 0.05


def test_whether_all_budgets_moved_is_told_by_their_common_spend() -> None:
    still, grown = np.ones((DAYS, 1)), 2.5 ** np.linspace(-0.5, 0.5, DAYS)[:, None]
    for seed in SEEDS:
        together, moved = of(totals(seed, still, still))._budgets()
        assert moved < 0.2
        assert abs(together[-28:].mean()) < 0.35
        assert of(totals(seed, still, grown))._budgets()[1] > 0.9
    # One platform that grew beside three that stayed is no move of all.
    alone = still.repeat(PLATFORMS, 1)
    alone[-60:, 2] = 1.6
    assert of(totals(0, still, alone))._budgets()[1] < 0.2
    # One cell alone has no other beside which its spend could be held, and its budget is the account's.
    single = {name: table[..., :1] for name, table in totals(0, still, grown).items()}
    together, moved = of(single)._budgets()
    np.testing.assert_array_equal(together, np.zeros((DAYS, 1)))
    assert moved > 0.9


def test_budgets_that_grew_by_themselves_move_no_level() -> None:
    still, grown = np.ones((DAYS, 1)), 2.5 ** np.linspace(-0.5, 0.5, DAYS)[:, None]
    found = [told(totals(seed, still, grown), 1.0) for seed in SEEDS]
    assert abs(np.mean([error for error, _ in found])) < 0.03
    assert max(abs(one) for _, slow in found for one in slow.values()) < 0.15


def test_where_budgets_stay_levels_stay() -> None:
    still = np.ones((DAYS, 1))
    for seed in SEEDS:
        error, slow = told(totals(seed, still, still), 1.0)
        assert abs(error) < 0.05
        assert max(abs(one) for one in slow.values()) < 0.05


def test_levels_of_an_account_that_stays_are_known_better_together_than_each_by_itself() -> None:
    """Nothing moved in any of four lines: by itself each is still doubted, and what is told of revenue is that of four
    doubts. Where one moved the others may have too."""
    still = np.ones((DAYS, 1))
    alone, together = [], []
    for seed in SEEDS:
        history = of(totals(seed, still, still))
        kept = history.value()[0]
        assert history.values_set
        line = history.lines(SLOPES)[0]["value"]
        alone.append(kept.moved)
        together.append(line.moved)
        # By so much less the doubt weighs in the error.
        assert (line.common_KJ**2).sum() < (kept.common_KJ**2).sum()
    assert 0.25 < float(np.mean(np.divide(together, alone))) < 0.55
    moving = totals(0, np.linspace(0.4, 1.6, DAYS)[:, None], np.linspace(0.4, 1.6, DAYS)[:, None])
    history = of(moving)
    assert history.lines(SLOPES)[0]["value"].moved > history.value()[0].moved


def test_each_line_is_asked_beside_the_others_and_what_budgets_say_comes_after(monkeypatch: pytest.MonkeyPatch) -> None:
    table = totals(40_320, np.ones((DAYS, 1)), 1.25 ** np.linspace(-0.5, 0.5, DAYS)[:, None])
    table["revenue"] = table["revenue"] * np.random.default_rng(2).uniform(0.8, 1.2, table["revenue"].shape)
    history = of(table)
    _, budgets = history._budgets()
    assert 0.01 < budgets < 0.99
    moved = {"impressions": 0.9, "clicks": 0.2, "conversions": 0.5, "value": 0.03}
    asked: list[tuple[str, tuple[float, ...], Any]] = []

    def fitted(past: History, name: str, law: Any) -> Any:
        asked.append((name, past.slow.alike, law))
        return SimpleNamespace(moved=moved[name], law=name)

    def owed(past: History, *_: Any) -> Any:
        return SimpleNamespace(delays=past.slow.alike)

    monkeypatch.setattr(History, "_owed", owed)
    monkeypatch.setattr(History, "_converted", lambda past, _, law: fitted(past, "conversions", law))
    monkeypatch.setattr(History, "_counted", lambda past, name, *rest: fitted(past, name, rest[-1]))
    monkeypatch.setattr(History, "value", lambda past: (fitted(past, "value", None), None))
    lines, late = history.lines(SLOPES)
    assert set(lines) == set(moved)
    slow = history.slow
    alone = {name: slow if name == "value" else slow.budgets(budgets) for name in moved}
    odds = {name: alone[name].odds(moved[name]) for name in moved}
    assert late == alone["conversions"].alike
    assert {name: (alike, law) for name, alike, law in asked[:4]} == {n: (one.alike, None) for n, one in alone.items()}
    for name, alike, law in asked[4:]:
        beside = slow.beside([one for other, one in odds.items() if other != name])
        # People set budgets by what stages did, not by what a sale is worth.
        assert alike == pytest.approx((beside if name == "value" else beside.budgets(budgets)).alike)
        assert law == (None if name == "value" else name)
    assert sorted(name for name, *_ in asked[4:]) == sorted(moved)


@pytest.mark.parametrize("varies", [False, True])
def test_a_value_that_somebody_set_says_nothing_of_the_account(monkeypatch: pytest.MonkeyPatch, varies: bool) -> None:
    table = totals(40_321, np.ones((DAYS, 1)), np.ones((DAYS, 1)))
    orders = np.random.default_rng(1).gamma(table["conversions"] / 0.5**2, 20 * 0.5**2)
    table["revenue"] = np.round(orders if varies else 19.99 * table["conversions"], 2)
    history, asked = of(table), list[list[float]]()
    assert history.values_set is not varies
    beside = Slow.beside

    def listed(slow: Slow, odds: Iterable[float]) -> Slow:
        asked.append(list(odds))
        return beside(slow, asked[-1])

    monkeypatch.setattr(Slow, "beside", listed)
    history.lines(SLOPES)
    # Impressions, clicks and conversions are asked beside the value, which comes last.
    assert [one[-1] == 1.0 for one in asked[:3]] == [not varies] * 3
    assert all(0 < one[-1] < 1 for one in asked[:3] if varies)


@pytest.mark.parametrize("seed", [40_310, 40_311, 40_312])
def test_conversions_that_one_platform_lost_three_weeks_ago_are_told_at_what_is_left(seed: int) -> None:
    table = totals(seed, np.ones((DAYS, 1)), np.ones((DAYS, 1)))
    kept = np.random.default_rng(seed).binomial(table["conversions"][-19:, 0, 1].astype(int), 0.55)
    table["conversions"][-19:, 0, 1] = kept
    table["revenue"] = 20 * table["conversions"]
    history = of(table)
    step = history.steps("conversions")
    assert step is not None
    np.testing.assert_array_equal(step[:, [0, 2, 3]], 0.0)
    assert step[:, 1].sum() == pytest.approx(DAYS - 19, abs=4)
    assert all(history.steps(name) is None for name in ("impressions", "clicks", "value"))
    line = history.lines(SLOPES)[0]["conversions"]
    off = line.beta_KR[:, 0] - np.log([0.05, 0.05 * 0.55, 0.05, 0.05])
    # Some 250 conversions since, whose rate drifts with nothing: known to 0.07.
    assert np.abs(off).max() < 0.15
    assert abs(off[1]) < 3 * np.sqrt(line.covariance_KRR[1, 0, 0] + (line.common_KJ[1] ** 2).sum())
    assert line.slow_TK[0, 1] == pytest.approx(-np.log(0.55), abs=0.15)
