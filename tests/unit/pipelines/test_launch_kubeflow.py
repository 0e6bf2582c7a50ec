"""Re-adaptations as runs of Kubeflow: what a run is given, how it is found again, whose fault a refusal is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from crossmix.config import ConfigError, load
from monitoring.launcher import LauncherAwayError, LaunchRefusedError
from pipelines.cli.main import app
from pipelines.launch_kubeflow import KubeflowLauncher
from pipelines.wiring import parameter
from tests.support.clusters import cluster_file
from tests.support.launching import Launching, launching

AT = "2026-01-05T00:00:00+00:00"
SPEC = {"campaign_id": "spring", "at": AT, "alert": {"id": "0f"}}


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Launching]:
    made = launching(tmp_path)
    yield made
    made.close()


def test_a_run_has_its_ids_name_account_and_parameters(bench: Launching) -> None:
    named = bench.launcher.start("run-1", SPEC)
    (run,) = bench.api.kept["runs"]
    assert (run["run_id"], run["display_name"], run["service_account"]) == (named, "run-1", "crossmix-deploy")
    (experiment,) = bench.api.kept["experiments"]
    assert (experiment["display_name"], run["experiment_id"]) == ("spring", experiment["experiment_id"])
    given = run["runtime_config"]["parameters"]
    told = json.loads(given[parameter("feedback")])["readapt"]
    assert (told["run"], told["at"]) == ("run-1", AT)
    assert given["store"] == "/store/steps"
    assert set(run["pipeline_spec"]["pipeline_spec"]["root"]["inputDefinitions"]["parameters"]) == set(given)


def test_it_is_found_by_a_launcher_that_did_not_start_it(bench: Launching) -> None:
    named = bench.launcher.start("run-1", SPEC)
    later = bench.again()
    assert later.state("run-1") == "running"
    assert later.start("run-1", SPEC) == named
    (run,) = bench.api.kept["runs"]
    for word, state in (("RUNNING", "running"), ("SUCCEEDED", "succeeded"), ("FAILED", "failed")):
        run["state"] = word
        assert later.state("run-1") == state
    run["state"] = "CANCELED"
    assert later.state("run-1") == "failed"
    assert later.start("run-1", SPEC) == named, "a run that failed is not made again under its name"


def test_a_token_that_was_renewed_is_taken(bench: Launching) -> None:
    bench.launcher.start("run-1", SPEC)
    bench.api.token = "renewed"
    with pytest.raises(LauncherAwayError, match=r"status 401.*pass a token"):
        bench.launcher.start("run-2", SPEC)
    bench.token = "renewed"
    assert bench.launcher.state("run-2") == "unknown"
    bench.launcher.start("run-2", SPEC)
    assert len(bench.api.kept["runs"]) == 2
    bench.api.token = bench.token = "renewed in time"
    assert bench.launcher.state("run-2") == "running"


def test_what_the_api_calls_invalid_is_refused_for_good(bench: Launching) -> None:
    bench.api.refuse["runs"] = (400, "unknown parameter")
    with pytest.raises(LaunchRefusedError, match="unknown parameter"):
        bench.launcher.start("run-1", SPEC)
    with pytest.raises(LaunchRefusedError, match="letters, digits"):
        bench.launcher.start("../run", SPEC)
    assert bench.launcher.state("../run") == "unknown"


def test_a_registry_of_this_machine_is_refused_before_anything_starts(bench: Launching) -> None:
    with pytest.raises(ConfigError, match=r"registry\.tracking_uri"):
        KubeflowLauncher(load("laptop", ["registry.tracking_uri=sqlite:///here.db"]), bench.place, bench.where)


def test_the_command_names_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSMIX_WEBHOOK_SECRET", "whsec_" + "A" * 32)
    command = ["monitor", "webhook", "--database", f"sqlite:///{tmp_path / 'alerts.db'}", "--port", "0"]
    wrong = CliRunner().invoke(app, [*command, "--cluster", str(tmp_path / "none.toml")])
    assert wrong.exit_code == 2
    assert "none.toml" in wrong.output
    named = [*command, "--cluster", str(cluster_file(tmp_path))]
    nowhere = CliRunner().invoke(app, named)
    assert (nowhere.exit_code, nowhere.output[:15]) == (2, "error: --host: ")
    here = ["--kfp-host", "http://127.0.0.1:1", "--run-set", "registry.tracking_uri=file:/here"]
    local = CliRunner().invoke(app, [*named, *here])
    assert local.exit_code == 2
    assert "registry.tracking_uri" in local.output
