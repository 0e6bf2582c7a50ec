"""The benchmark of journeys: its sums on made-up worlds, and one small world played for real."""

from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks import journeys
from crossmix.journeys.simulate import Played


def _world(response: float, log: float) -> dict[str, object]:
    def one(name: str, per_cost: float) -> Played:
        return Played(name, 10 * per_cost, 1.0, 10.0, 10.0, 5, 0.0)

    return {
        "played": [one("log", log), one("response", response), one("oracle", 4.0)],
        "agreement": {"MTORL": response / 10, "log": 0.5},
    }


def test_leads_are_paired_by_world_and_their_intervals_are_students() -> None:
    found = journeys.summary([_world(3.0, 1.0), _world(2.5, 0.7), _world(2.0, 0.3)])  # leads 2.0, 1.8, 1.7
    lead = found["players"]["log"]["response_leads_by"]
    assert lead["mean"] == pytest.approx(11 / 6)
    assert lead["ci95"][1] - lead["mean"] == pytest.approx(
        4.30265 * np.std([2.0, 1.8, 1.7], ddof=1) / np.sqrt(3), rel=1e-4
    )
    assert found["players"]["response"]["of_oracle"]["mean"] == pytest.approx(0.625)
    assert found["response_clearly_above"] == {"log": True}
    assert found["agreement"] == pytest.approx({"MTORL": 0.25, "log": 0.5})
    level = journeys.summary([_world(3.0, 1.0), _world(1.0, 2.0), _world(2.0, 2.1)])
    assert level["response_clearly_above"] == {"log": False}


@pytest.mark.slow
def test_a_small_world_is_played(capsys: pytest.CaptureFixture[str]) -> None:
    journeys.main(["--json", "--worlds", "1", "--users", "800"])
    answer = json.loads(capsys.readouterr().out)
    earned = {name: row["revenue_per_cost"]["mean"] for name, row in answer["players"].items()}
    assert earned["oracle"] == max(earned.values())
    assert earned["response"] > 2 * earned["log"]
    assert all(0.9 < row["spent_most"] <= 1 + 1e-9 for row in answer["players"].values())
