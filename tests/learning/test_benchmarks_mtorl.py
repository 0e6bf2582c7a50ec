"""The benchmark's parts on small journeys: what is apart is apart, and results join."""

from __future__ import annotations

import copy
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks import mtorl
from crossmix.journeys.log import Events
from crossmix.journeys.settings import Journeys, laptop
from crossmix.journeys.windows import overlap
from tests.support.journeys import events

SMALL = replace(laptop(), window=8, stride=4, learning=replace(laptop().learning, width=8, epochs=1))


@pytest.fixture(scope="module")
def journeys() -> Events:
    return events(150, least=10, most=30)


def answered(of: Events) -> np.ndarray:
    """When the exposure after each step is."""
    return np.append(of.seconds_R[1:], np.inf)


def test_users_are_apart_in_b_and_time_too_in_c(journeys: Events) -> None:
    for part in ("b", "c"):
        case = mtorl.case_of(journeys, part, 1, SMALL)
        users = [set(journeys.user_R[one.row_S]) for one in (case.train, case.validation, case.test)]
        assert all(users)
        assert sum(map(len, users)) == len(set.union(*users))
        found = overlap(journeys, case.train, case.test)
        assert (found.users, found.windows, found.steps) == (0, 0, 0)
    when = [answered(journeys)[one.row_S] for one in (case.train, case.validation, case.test)]
    assert when[0].max() < when[1].min() <= when[1].max() < when[2].min()
    in_windows = case.train.row_NT[case.train.real_NT]
    assert answered(journeys)[in_windows].max() < when[1].min(), "no later step stands in a training window"


def test_the_authors_windows_overlap(journeys: Events) -> None:
    case = mtorl.case_of(journeys, "a", 0, SMALL)
    assert [len(one) for one in (case.train, case.validation, case.test)] == [3_200, 400, 400]
    assert overlap(journeys, case.train, case.test).users == 1


def test_results_of_several_runs_join(journeys: Events, monkeypatch: pytest.MonkeyPatch) -> None:
    simple = {name: answer for name, answer in mtorl.models(SMALL).items() if name in ("MTORL", "repeat-last")}
    monkeypatch.setattr(mtorl, "models", lambda settings: simple)

    def result(split: int, seeds: list[int]) -> dict[str, object]:
        part = mtorl.run(journeys, "b", [split], seeds, SMALL)
        return {"settings": {}, "exposures": 1, "parts": {"b": part}, "machine": {}}

    results = [result(0, [0]), result(0, [1]), result(1, [0])]
    whole = mtorl.join(copy.deepcopy(results))
    table = whole["parts"]["b"]["summary"]
    assert (table["MTORL"]["runs"], table["repeat-last"]["runs"]) == (3, 2)
    values = [one["nll"]["value"] for one in whole["parts"]["b"]["runs"] if one["model"] == "MTORL"]
    assert table["MTORL"]["nll"]["mean"] == pytest.approx(np.mean(values))
    assert len(whole["parts"]["b"]["windows"]) == 2
    assert set(whole["goals"]) == {"b: MTORL nll", "b: MTORL auc"}
    with pytest.raises(ValueError, match="a run is in two"):
        mtorl.join(copy.deepcopy([results[0], results[0]]))
    with pytest.raises(ValueError, match="other settings"):
        mtorl.join([results[0], {**results[1], "settings": {"window": 5}}])


def slice_of(path: Path) -> Path:
    """A file of the slice's format."""
    rng = np.random.default_rng(0)
    rows = 2_000
    user = np.sort(rng.integers(0, 100, rows))
    order = rng.permutation(rows)
    pd.DataFrame(
        {
            "": np.arange(rows),
            "uid": user[order],
            "campaign": (user[order] % 3) / 3,
            "conversion": 0,
            "attribution": 0,
            "click": rng.integers(0, 2, rows),
            "click_nb": -1,
            "cost": rng.random(rows),
            "cpo": 0.1,
            "cat8": rng.integers(0, 4, rows) / 7,
        }
    ).to_csv(path, index=False)
    return path


def test_it_reads_the_slice_and_tells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(mtorl, "laptop", lambda: SMALL)
    monkeypatch.setattr(mtorl, "ABLATION", {"MTORL": {}, "without DPO (eq. 15)": {"dpo": 0.0}})
    kept = ("MTORL", "markov")
    models = mtorl.models

    def few(settings: Journeys) -> dict[str, object]:
        return {name: answer for name, answer in models(settings).items() if name in kept}

    monkeypatch.setattr(mtorl, "models", few)
    file = str(slice_of(tmp_path / "slice.csv"))
    command = ["mtorl", "--data", file, "--parts", "b", "--splits", "0", "--seeds", "0", "--ablation"]
    monkeypatch.setattr(sys, "argv", [*command, "--json"])
    mtorl.main()
    told = json.loads(capsys.readouterr().out)
    assert (told["exposures"], told["users"]) == (2_000, 100)
    assert "nothing to learn" in told["campaigns as channels"], "a user stays on one campaign"
    assert "imitation has nothing to learn" in told["parts"]["b"]["windows"][0]["told"]
    assert set(told["ablation"]) == {"MTORL", "without DPO (eq. 15)"}
    (tmp_path / "result.json").write_text(json.dumps(told))
    monkeypatch.setattr(sys, "argv", ["mtorl", "--join", str(tmp_path / "result.json")])
    mtorl.main()
    assert "0.0% windows" in capsys.readouterr().out


def test_without_the_slice_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["mtorl", "--data", str(tmp_path / "none"), "--json"])
    mtorl.main()
    assert "nothing was measured" in json.loads(capsys.readouterr().out)["skipped"]
