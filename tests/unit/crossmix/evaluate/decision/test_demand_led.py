"""Brand search whose spend follows its own demand: nothing that leans on it is proved, and the answer says why."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from crossmix.evaluate.decision.own_demand import USUAL
from crossmix.evaluate.decision.standing import standing
from tests.support.decisions import judge, wandering

pytestmark = pytest.mark.slow
DAYS = 182
CAUSE = 0.15
"""Elasticity of what money does on the platform that follows; 0.7 elsewhere."""


def history(name: str, seed: int, *, with_demand: float = 1 - CAUSE, steps: int = 0) -> pd.DataFrame:
    """The third platform's clicks and spend follow demand of its own, in proportion; its conversions go with
    demand^`with_demand` and with spend^0.15 beside. In the last `steps` days its budget is moved up and down by half, a
    week at each."""
    rng = np.random.default_rng([35, seed])
    demand_T = np.exp(wandering(rng, DAYS, 0.3))
    rows = []
    for p, platform in enumerate(("north", "south", name)):
        spend_T = 300 * np.exp(wandering(rng, DAYS, 0.3))
        sold_T = 18 * (spend_T / 300) ** 0.7
        if p == 2:
            spend_T = 100 * demand_T * np.exp(0.05 * rng.standard_normal(DAYS))
            for day in range(DAYS - steps, DAYS):
                spend_T[day] = 150.0 if (day - DAYS + steps) // 7 % 2 else 67.0
            sold_T = 16 * demand_T**with_demand * (spend_T / 100) ** CAUSE
        clicks_T = rng.poisson(2 * spend_T * np.exp(wandering(rng, DAYS, 0.05)))
        conversions_T = np.minimum(rng.poisson(sold_T * np.exp(0.1 * rng.standard_normal(DAYS))), clicks_T)
        rows.append(pd.DataFrame({
            "date": pd.date_range("2025-01-06", periods=DAYS).strftime("%Y-%m-%d"), "platform": platform,
            "spend": spend_T.round(2), "impressions": rng.poisson(50 * clicks_T), "clicks": clicks_T,
            "conversions": conversions_T, "revenue": 50.0 * conversions_T,
        }))  # fmt: skip
    return pd.concat(rows).sort_values("date", ignore_index=True)


@pytest.mark.parametrize(
    ("name", "seed", "with_demand"),
    [("brand_search", 0, 1 - CAUSE), ("brand_search", 1, 1 - CAUSE), ("west", 0, 1.0), ("west", 2, 1.0)],
)
def test_what_leans_on_it_is_not_proved(tmp_path: Path, name: str, seed: int, with_demand: float) -> None:
    """By its name, or since sales rise by more than money does, which money alone does not bring about."""
    _, file, gates = judge(tmp_path, history(name, seed, with_demand=with_demand))
    one = file.campaigns[0]
    led = next(platform for platform in one.platforms if platform.platform == name)
    assert not one.proved
    assert led.best > 1.5 * led.today
    assert led.follows > 2 * USUAL
    assert led.demand_led
    assert one.first_test.platform == name
    gain = next(gate for gate in gates if gate.name == "decision.gain")
    assert gain.verdict != "pass"
    told = standing([], file)
    assert told.word != "proved"
    assert f"spend and sales of {name} rise and fall together" in told.reason
    assert "recommended" not in told.reason


def test_money_moved_on_purpose_settles_it(tmp_path: Path) -> None:
    """After 12 weeks of steps the elasticity by them alone is what money does."""
    found, _, _ = judge(tmp_path, history("brand_search", 0, steps=84))
    p = found.campaigns[0].change.platforms.index("brand_search")
    assert found.test.on_purpose_CP[0, p] == pytest.approx(CAUSE, abs=2.5 * found.test.on_purpose_error_CP[0, p])
    assert found.test.on_purpose_error_CP[0, p] < 0.12
