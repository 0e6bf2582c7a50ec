"""The end of a run: its state is told wherever it can be, and its TrainJobs go, its own alone."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from components.finish import core
from components.finish.component import finish
from components.finish.core import FinishError, end, freed
from components.pod import LABEL, RUN
from crossmix.artifacts import RunState
from tests.support.trainjobs_api import PATH, Jobs, serving


@pytest.fixture(autouse=True)
def run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(RUN, "r1")


def test_the_state_is_in_the_store_and_in_the_ui(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = SimpleNamespace(state="FAILED", error_message="ingest: price_paid: -1 in row 7; mend the log")
    told = SimpleNamespace(path=str(tmp_path / "ui" / "told"))
    finish.python_func(pipeline="crossmix-training", store=str(tmp_path), namespace="", status=status, told=told)
    kept = RunState.load(tmp_path / "runs" / "r1")
    assert (kept.run, kept.pipeline, kept.state) == ("r1", "crossmix-training", "FAILED")
    assert kept.error == status.error_message
    page = Path(told.path).read_text()
    assert page.startswith("# FAILED\n\nRun r1 of crossmix-training, ended 2")
    assert page.endswith("mend the log\n")
    assert f"run r1 FAILED: {status.error_message}" in capsys.readouterr().out


def test_a_store_that_is_away_does_not_keep_the_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("no folder")
    asked = []
    monkeypatch.setattr(core, "freed", lambda *given: asked.append(given) or [])
    end("crossmix-training", "SUCCEEDED", "", str(tmp_path / "file"), "crossmix", str(tmp_path / "told"))
    assert asked == [("crossmix", "r1")]
    assert (tmp_path / "told").read_text().startswith("# SUCCEEDED\n")


def test_the_trainjobs_of_the_run_go_and_no_others() -> None:
    jobs = Jobs({"mine": {LABEL: "r1"}, "gone": {LABEL: "r1"}, "other": {LABEL: "r2"}, "none": {}}, gone={"gone"})
    with serving(jobs) as api:
        assert freed("crossmix", "r1", lambda: api) == ["mine", "gone"]
    assert set(jobs.labels) == {"gone", "other", "none"}
    assert jobs.asked == [("GET", PATH), ("DELETE", f"{PATH}/mine"), ("DELETE", f"{PATH}/gone")]


def test_an_api_that_is_busy_is_asked_again_and_one_that_stays_away_is_a_sentence() -> None:
    jobs = Jobs({"mine": {LABEL: "r1"}}, busy=2)
    waited: list[float] = []
    with serving(jobs) as api:
        assert freed("crossmix", "r1", lambda: api, waited.append) == ["mine"]
        assert waited == [5.0, 10.0]
        jobs.busy = 100
        with pytest.raises(FinishError, match="kubectl delete trainjobs -n crossmix -l crossmix/run=r1"):
            freed("crossmix", "r1", lambda: api, waited.append)
    assert waited == [5.0, 10.0, 5.0, 10.0, 20.0]
