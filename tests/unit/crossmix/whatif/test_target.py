"""The budget that meets a target."""

from __future__ import annotations

import pytest

from crossmix import whatif
from crossmix.config import ConfigError
from crossmix.whatif.scene import Scene
from tests.support.scenes import best_totals


@pytest.mark.parametrize("kind", ["cpa", "roas"])
def test_a_target_budget_meets_it_and_a_larger_one_does_not(scene: Scene, kind: str) -> None:
    now = whatif.best_split(scene, scene.budget, share_draws=0).best
    target = 0.8 * now.cpa.value if kind == "cpa" else 1.2 * now.roas.value
    found = whatif.budget_for(scene, kind, target)
    assert found.verdict == "met"
    assert found.attained == pytest.approx(target, rel=1e-3)
    assert found.answer.best.budget == found.budget

    def misses(budget: float) -> bool:
        earned, conversions, spend = best_totals(scene, budget)
        return spend / conversions > target if kind == "cpa" else earned / spend < target

    assert not misses(found.budget * (1 - 1e-9))
    assert all(misses(found.budget * more) for more in (1.002, 1.05, 1.5, 4.0))
    # The last unit of money: worse than the average, and the slope between two budgets beside it.
    less, more = (best_totals(scene, found.budget * part) for part in (0.995, 1.005))
    earned, conversions, spend = (high - low for low, high in zip(less, more, strict=True))
    assert found.marginal == pytest.approx(spend / conversions if kind == "cpa" else earned / spend, rel=0.02)
    assert found.marginal > 1.1 * target if kind == "cpa" else found.marginal < 0.9 * target


def test_a_target_out_of_reach_and_one_that_always_holds(scene: Scene) -> None:
    line = whatif.frontier(scene)
    assert line.budget_G[-1] == pytest.approx(scene.supply)
    assert (line.revenue.value >= line.today_revenue_G * (1 - 1e-6)).all()
    never = whatif.budget_for(scene, "cpa", 1e-3, line)
    assert never.verdict == "never"
    assert never.attained == pytest.approx(line.cpa_G.min(), rel=1e-6)
    always = whatif.budget_for(scene, "roas", 1e-3, line)
    assert (always.verdict, always.budget) == ("always", pytest.approx(scene.supply))
    for kind, target in (("cpa", 0.0), ("roas", -1.0), ("cpa", float("nan")), ("roas", float("inf"))):
        with pytest.raises(ConfigError, match=f"target-{kind}: .*; give a number above 0"):
            whatif.budget_for(scene, kind, target, line)
    with pytest.raises(ConfigError, match="target: 'roi' is unknown; use one of cpa, roas"):
        whatif.budget_for(scene, "roi", 1.0, line)
