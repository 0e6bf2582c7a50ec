"""A history whose budgets only ever moved together, with demand: nothing of it is proved, and the answer says why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from crossmix.artifacts import AllHistory, GateRow
from crossmix.evaluate.decision import table
from crossmix.evaluate.decision.change import Believed, Change
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


def test_a_proof_is_one_by_all_of_the_history_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Market] = []

    def doubted(market: Market, _: int) -> Callable[[Change], Believed]:
        asked.append(market)
        return lambda change: Believed(900.0, np.where(np.arange(1_000) < 400, -30.0, 15.0))

    monkeypatch.setattr(table, "believed", doubted)
    found, file, gates = judge(tmp_path, history(1, 3, 0.35))
    assert found.proved == (False,)
    # It is the one fitted on all periods that is asked.
    (market,) = asked
    assert torch.equal(market.value["cvr"], load_served(tmp_path / "market").value["cvr"])
    assert not torch.equal(market.value["cvr"], load_judged(tmp_path / "market").value["cvr"])
    (own,) = file.campaigns
    assert own.unsettled
    assert own.withheld is not None
    assert "earns -3.00 (-0.3%) by the fit on all of the history, more with probability 0.60, wanted" in own.withheld
    assert own.by_all == AllHistory(revenue=900.0, gain=-3.0, gain_interval=(-30.0, 15.0), probability=0.6)
    # Its figures are those of the way that was found sure.
    (judged,) = found.campaigns
    assert judged.sure(0.95)
    assert own.part == judged.change.part
    gate = next(gate for gate in gates if gate.name == "decision.gain")
    assert (gate.verdict, gate.value) == ("insufficient data", 0.6)
    assert gate.detail.startswith(f"{own.withheld}; by the part of it that was judged +")
    stands = standing([GateRow(**asdict(gate)) for gate in gates], file)
    assert (stands.word, stands.reason, stands.keep) == ("not enough", own.withheld, False)


def test_the_same_budgets_moved_apart_prove_it(tmp_path: Path) -> None:
    found, file, gates = judge(tmp_path, history(1, 3, 0.35))
    assert found.proved == (True,)
    assert {gate.verdict for gate in gates} == {"pass"}
    assert not any(row.together for row in file.campaigns[0].platforms)
