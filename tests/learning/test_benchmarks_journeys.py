"""The benchmarks of journeys: their sums on made-up worlds, and small worlds played for real."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import journeys, journeys_told
from benchmarks._exact_clicks import Truth, counts, exact, truth
from crossmix.config import Demo
from crossmix.journeys.simulate import Played
from crossmix.journeys.world import play_log


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


def test_shares_of_worlds_and_logs_have_their_intervals() -> None:
    def part(covered: float, own: float) -> dict[str, object]:
        row = {"users": 10, "covered": covered, "width": 0.4, "width of a probability": 0.04, "error": 0.1}
        return {
            "intervals": dict.fromkeys(("all", *journeys_told.STEPS), row),
            "auc": {"response": 0.7, "exact": 0.71, "own clicks on the channel": own},
        }

    found = journeys_told.summary(
        {"planted 1": part(0.9, 0.69), "planted 2": part(0.98, 0.68), "propensities": {"SNIPS": [True] * 9 + [False]}}
    )
    assert found["planted"]["covered by world"] == {"1": 0.9, "2": 0.98}
    covered, lead = found["planted"]["all"]["covered"], found["planted"]["lead"]["exact"]
    assert covered["mean"] == pytest.approx(0.94)
    assert covered["ci95"][1] - 0.94 == pytest.approx(12.7062 * 0.04, rel=1e-4)
    assert lead["mean"] == pytest.approx(0.025)
    assert set(found["planted"]["lead"]) == {"response", "exact"}
    assert found["propensities"]["SNIPS"]["ci95"] == pytest.approx([0.5958, 0.9821], abs=1e-4)


def test_the_exact_answer_is_that_of_users_with_such_a_journey() -> None:
    """Of 400,000 users of two channels and two kinds, those with the same counts: their mean chance, to 0.003."""
    rng = np.random.default_rng(0)
    chance_CIJ = np.array([[[0.1, 0.2], [0.3, 0.5]], [[0.2, 0.3], [0.4, 0.7]]])
    user_I, liking_J = np.log([0.6, 0.4]), np.log([0.5, 0.5])
    kind_U, liked_UC = rng.choice(2, 400_000, p=np.exp(user_I)), rng.integers(2, size=(400_000, 2))
    p_UC = chance_CIJ[np.arange(2), kind_U[:, None], liked_UC]
    clicks_UC = rng.binomial([3, 1], p_UC)
    known = Truth(truth(Demo(seed=1, users=50, creatives=1, campaigns=1, days=2)).world, chance_CIJ, user_I, liking_J)
    for clicks in ([0, 0], [1, 0], [2, 1]):
        alike = (clicks_UC == clicks).all(1)
        found_C = exact(known, np.array([[3.0, 1.0]]), np.array([clicks], float))[0]
        np.testing.assert_allclose(found_C, p_UC[alike].mean(0), atol=0.003)


def test_counts_are_of_the_user_alone_up_to_each_exposure() -> None:
    log = play_log(
        truth(Demo(seed=2, users=40, creatives=1, campaigns=1, days=2)).world, 300, 5.0, np.random.default_rng(3)
    )[0]
    shown_RC, clicks_RC = counts(log)
    for row in (0, 57, 299):
        own = np.flatnonzero((log.user_R == log.user_R[row]) & (np.arange(300) <= row))
        np.testing.assert_array_equal(shown_RC[row], np.bincount(log.channel_R[own], minlength=10))
        np.testing.assert_array_equal(clicks_RC[row], np.bincount(log.channel_R[own], log.clicked_R[own], 10))


@pytest.mark.slow
def test_a_small_world_is_told(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    asked = ["--json", "--worlds", "1", "--kinds", "1", "--logs", "2", "--users", "600"]
    journeys_told.main([*asked, "--resume", str(tmp_path / "kept.json")])
    answer = json.loads(capsys.readouterr().out)
    for law in ("planted", "two kinds"):
        rows = {steps: answer[law][steps] for steps in ("all", *journeys_told.STEPS)}
        assert rows["all"]["users"] == sum(rows[steps]["users"] for steps in journeys_told.STEPS)
        assert rows["all"]["covered"]["mean"] > 0.6
        assert 0 < rows["all"]["width of a probability"]["mean"] < 0.3
        assert 0.5 < answer[law]["auc"]["exact"]["mean"] < 1
    assert all(one["logs"] == 2 for one in answer["propensities"].values())
    again = journeys_told.main([*asked, "--resume", str(tmp_path / "kept.json")])
    assert again["planted"] == answer["planted"]
