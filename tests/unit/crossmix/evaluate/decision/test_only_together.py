"""A history whose budgets only ever moved together, with demand: nothing of it is proved, and the answer says why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from crossmix.artifacts import GateRow
from crossmix.evaluate.decision import table
from crossmix.evaluate.decision.change import Array, Change, changes
from crossmix.evaluate.decision.standing import standing
from crossmix.market.model import Market, load_served
from crossmix.market.model import load as load_judged
from tests.support.decisions import judge, wandering

pytestmark = pytest.mark.slow
PLATFORMS = ("alpha", "bravo", "charlie", "delta", "echo")
DAYS = 364


def history(campaigns: int, platforms: int, own: float) -> pd.DataFrame:
    """Budgets follow demand in proportion and move by `own` in ln of their own. Impressions ~ demand (spend /
    demand)^0.5, clicks and conversions in proportion; the first platform earns four times what the last one does."""
    rng = np.random.default_rng([33, campaigns, platforms])
    demand_T = np.exp(wandering(rng, DAYS, 0.3, 0.9))
    rows = []
    for c in range(campaigns):
        for p in range(platforms):
            moved_T = np.exp(wandering(rng, DAYS, own))
            shown_T = rng.poisson(30_000 * demand_T * moved_T**0.5 * np.exp(wandering(rng, DAYS, 0.05)))
            clicks_T = rng.binomial(shown_T, 0.02)
            conversions_T = rng.binomial(clicks_T, 0.2 * 4 ** (-p / (platforms - 1)))
            rows.append(pd.DataFrame({
                "date": pd.date_range("2025-01-06", periods=DAYS).strftime("%Y-%m-%d"),
                "campaign": f"c{c}", "platform": PLATFORMS[p], "spend": (300 * demand_T * moved_T).round(2),
                "impressions": shown_T, "clicks": clicks_T, "conversions": conversions_T,
                "revenue": 12.0 * conversions_T,
            }))  # fmt: skip
    return pd.concat(rows).sort_values("date", ignore_index=True)


@pytest.mark.parametrize(("campaigns", "platforms", "own"), [(1, 3, 0.0), (1, 5, 0.0), (2, 4, 0.005)])
def test_nothing_is_proved_where_budgets_only_moved_together(
    tmp_path: Path, campaigns: int, platforms: int, own: float
) -> None:
    found, file, gates = judge(tmp_path, history(campaigns, platforms, own))
    assert not any(found.proved)
    assert (found.test.known_error_CP >= 0.2).all()
    gain = next(gate for gate in gates if gate.name == "decision.gain")
    assert gain.verdict == "insufficient data"
    assert gain.detail.endswith("only ever moved together: whether money or demand moved revenue, only money moved on "
                                "purpose can tell")  # fmt: skip
    for one in found.campaigns:
        assert one.together_P.any()
        assert one.more() is None
    stands = standing([GateRow(**asdict(gate)) for gate in gates], file)
    assert stands.word in ("plausible", "not enough")
    assert stands.first_test is not None
    assert stands.first_test.startswith("spend ")
    assert all(row.together for one in file.campaigns for row in one.platforms if abs(row.best - row.today) > 0.005)


def test_all_of_the_history_recommends_and_is_held_against_the_time_before_its_held_out_weeks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Market] = {}

    def recommended(market: Market, *rest: Any, **named: Any) -> Any:
        asked["all"] = market
        return changes(market, *rest, **named)

    def lost(market: Market, _: int) -> Callable[[Change], tuple[Array, Array]]:
        asked["before"] = market
        return lambda change: (change.now_P, 0.99 * change.now_P)

    monkeypatch.setattr(table, "changes", recommended)
    monkeypatch.setattr(table, "retold", lost)
    found, file, gates = judge(tmp_path, history(1, 3, 0.35))
    fits = {"all": load_served(tmp_path / "market"), "before": load_judged(tmp_path / "market")}
    for name, fit in fits.items():
        assert torch.equal(asked[name].value["cvr"], fit.value["cvr"])
        assert torch.equal(asked[name].budget, fits["all"].budget)
    assert not torch.equal(fits["all"].value["cvr"], fits["before"].value["cvr"])
    # Sure by all of the history; the time before the held-out weeks says otherwise, so that nothing is proved.
    (one,), (own,) = found.campaigns, file.campaigns
    assert one.probability > 0.95
    assert own.gain == pytest.approx(one.gain_N.mean())
    assert own.revenue == pytest.approx(float(one.change.now_P.sum()))
    assert found.proved == (False,)
    assert {gate.name: gate.verdict for gate in gates} == {
        "decision.gain": "pass", "decision.weeks": "insufficient data"
    }  # fmt: skip
    (weeks,) = [gate for gate in gates if gate.name == "decision.weeks"]
    assert weeks.detail.startswith("-")
    assert "the fit on all of the history, which knows those weeks too, says otherwise" in weeks.detail
    assert "by the fit of the time before them" in weeks.detail
    stands = standing([GateRow(**asdict(gate)) for gate in gates], file)
    assert (stands.word, stands.keep) == ("plausible", False)
    assert "gate decision.weeks" in stands.reason


def test_the_same_budgets_moved_apart_prove_it(tmp_path: Path) -> None:
    found, file, gates = judge(tmp_path, history(1, 3, 0.35))
    assert found.proved == (True,)
    assert {gate.verdict for gate in gates} == {"pass"}
    assert not any(row.together for row in file.campaigns[0].platforms)
