"""`crossmix run` from a log to a registered policy, again, failing, killed."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from components.declared import steps
from crossmix import bundle
from crossmix.market.model import load as load_market
from pipelines.cli.main import app
from pipelines.cli.recommend import Answer, allocate
from pipelines.local import step_folder
from tests.support.alike import answers, free, random_statistics, spread
from tests.support.small_run import Ran, command, crossmix, kill_group

KEYS = {
    "run_id": str,
    "source": str,
    "rows": dict,
    "fusion": dict,
    "fidelity": dict,
    "policy": dict,
    "gates": list,
    "registry": dict,
    "bundle": dict,
    "seconds": dict,
    "steps": dict,
}
STEPS = tuple(steps())


def summary(out: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((out / "summary.json").read_text())
    return loaded


def figures(out: Path) -> dict[str, Any]:
    """The summary without what a clock or a place decides."""
    told = summary(out)
    del told["run_id"], told["seconds"], told["bundle"]["path"]
    for gate in told["gates"]:
        if gate["name"] == "policy.latency":
            del gate["value"], gate["verdict"]
    return told


@pytest.mark.slow
def test_a_run_leaves_a_registered_policy_and_its_figures(ran: Ran) -> None:
    assert ran.status == 0, ran.screen
    told = summary(ran.out)
    assert {key: type(value) for key, value in told.items()} == KEYS
    assert told["source"] == "demo"
    assert told["rows"]["ingested"] > 1_000
    assert set(told["fusion"]) == {"click_auc", "conversion_auc", "click_ece", "modalities"}
    assert told["fusion"]["modalities"] == ["image", "text", "behaviour"]
    assert set(told["policy"]["baselines"]) == {"uniform", "static", "control", "rule", "windowed_roi", "plug_in"}
    for ratio in (told["policy"]["oracle_ratio"], *told["policy"]["baselines"].values()):
        assert ratio["ci95"][0] <= ratio["mean"] <= ratio["ci95"][1] <= 1.02
    for gate in told["gates"]:
        assert set(gate) - {"detail"} == {"name", "value", "threshold", "verdict", "required"}
        assert "detail" not in gate or gate["verdict"] in {"fail", "insufficient data"}
    assert told["registry"] == {
        "name": "crossmix-policy",
        "version": 1,
        "aliases": ["challenger", "champion"],
    }
    manifest = json.loads((ran.out / "bundle" / "manifest.json").read_text())
    assert told["bundle"] == {"path": str(ran.out / "bundle"), "sha256": manifest["digest"]}
    assert list(told["seconds"]) == list(STEPS)
    assert told["steps"]["gate"]["policy_oracle_ratio"] == told["policy"]["oracle_ratio"]["mean"]
    assert told["steps"]["register"] == {"version": 1}
    nothing = "nothing was rolled out: no cluster is named (CROSSMIX_SERVE_IMAGE)"
    assert told["steps"]["deploy"] == {"version": 1, "state": "champion", "rollout": nothing}
    assert f"servers    {nothing}" in ran.screen
    assert "<html" in (ran.out / "report.html").read_text()[:200]
    assert not (ran.out / "kfp").exists()


@pytest.mark.slow
def test_the_screen_has_a_line_per_step_and_no_noise(ran: Ran) -> None:
    lines = [line for line in ran.screen.split("\npolicy ")[0].splitlines() if line and not line.startswith("  ")]
    assert [line.split()[0] for line in lines] == [name for name in STEPS for _ in ("running", "seconds")]
    assert "Executing task" in (ran.out / "run.log").read_text()


@pytest.mark.slow
def test_run_again_it_reuses_every_step_and_says_so(ran: Ran) -> None:
    before, again = figures(ran.out), crossmix(ran.out)
    assert again.status == 0, again.screen
    steps_told = [line.split()[:2] for line in again.screen.split("\npolicy ")[0].splitlines() if line[:1].strip()]
    assert steps_told == [[name, "reused"] for name in STEPS]
    assert figures(ran.out) == before


@pytest.mark.slow
def test_a_failing_gate_registers_nothing(ran: Ran, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(ran.out / "steps", out / "steps", symlinks=True)
    failed = crossmix(out, gates__required='["policy.utilisation"]', gates__utilisation="1.0", evaluate__cycles="4")
    assert failed.status == 3, failed.screen
    assert "train     reused" in failed.screen
    assert "nothing was registered" in failed.screen
    assert [line.split()[:2] for line in failed.screen.splitlines() if line.startswith("  FAIL")] == [
        ["FAIL", "policy.utilisation:"]
    ]
    told = summary(out)
    assert told["registry"] is None
    assert told["bundle"] is None
    assert not {"register", "deploy"} & set(told["seconds"])
    assert not (out / "mlflow.db").exists()
    assert (out / "report.html").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    "step",
    [name if name == "register" else pytest.param(name, marks=pytest.mark.soak) for name in STEPS if name != "deploy"],
)
def test_a_run_killed_in_a_step_goes_on_to_the_same_figures(step: str, ran: Ran, tmp_path: Path) -> None:
    out = tmp_path / "out"
    # What came before the step is taken over, so that this test costs the steps from there on.
    names = list(STEPS)
    for name in names[: names.index(step)]:
        shutil.copytree(ran.out / "steps" / name, out / "steps" / name, symlinks=True)
    if (ran.out / "steps" / "cache").exists() and step != "ingest":
        shutil.copytree(ran.out / "steps" / "cache", out / "steps" / "cache")
    kill_in(step, out)
    assert not list((out / "steps").glob(f"{step}/*/done.json"))
    assert not (out / "summary.json").exists()
    ended = crossmix(out)
    assert ended.status == 0, ended.screen
    assert figures(out) == figures(ran.out)
    assert not list((out / "steps").glob("*/*.tmp"))


def kill_in(step: str, out: Path) -> None:
    """Start a run and SIGKILL it, children and all, once the step has begun to write."""
    with (out.parent / "screen").open("w") as screen:
        process = subprocess.Popen(
            command(out), stdout=screen, stderr=subprocess.STDOUT, text=True, start_new_session=True
        )
        begun = [f"{step}/*.tmp", "train/*.work/*"] if step == "train" else [f"{step}/*.tmp"]  # and a checkpoint
        deadline = time.monotonic() + 400
        while not all(list((out / "steps").glob(pattern)) for pattern in begun):
            assert process.poll() is None, (out.parent / "screen").read_text()
            assert time.monotonic() < deadline, f"{step} has not begun"
            time.sleep(0.02)
        kill_group(process)


@pytest.mark.slow
def test_the_champion_answers_with_reasons(ran: Ran) -> None:
    result = CliRunner().invoke(
        app, ["allocate", str(ran.out), "--campaign", "campaign_1", "--limit", "search:0:0.05", "--json"]
    )
    assert result.exit_code == 0, result.output
    told = json.loads(result.output)
    assert sum(row["share"] for row in told["platforms"]) == pytest.approx(1, abs=1e-4)
    search = next(row for row in told["platforms"] if row["platform"] == "search")
    assert search["share"] <= 0.05 + 1e-6
    assert told["expected_revenue_interval"][0] < told["expected_revenue"] < told["expected_revenue_interval"][1]
    assert all(row["reason"] and row["marginal_roi"] >= 0 for row in told["platforms"])
    table = CliRunner().invoke(app, ["allocate", str(ran.out), "--campaign", "campaign_1", "--budget", "500"])
    assert table.exit_code == 0
    assert "500.00" in table.output
    assert "95 % interval" in table.output


@pytest.mark.slow
def test_without_a_name_every_campaign_is_answered(ran: Ran) -> None:
    result = CliRunner().invoke(app, ["allocate", str(ran.out), "--json"])
    assert result.exit_code == 0, result.output
    every = json.loads(result.output)
    assert [told["campaign"] for told in every] == ["campaign_1", "campaign_2", "campaign_3"]
    one = CliRunner().invoke(app, ["allocate", str(ran.out), "--campaign", "campaign_2", "--json"])
    (whole,) = every[1].pop("all_campaigns")
    assert whole["budget"] == pytest.approx(sum(told["budget"] for told in every))
    assert json.loads(one.output) == every[1]
    table = CliRunner().invoke(app, ["allocate", str(ran.out)]).output
    assert [line.split(":")[0] for line in table.splitlines() if "for the next cycle" in line] == [
        *(told["campaign"] for told in every),
        "all 3 campaigns that run",
    ]
    assert f": {sum(told['budget'] for told in every):,.2f} " in table


@pytest.mark.slow
def test_free_platforms_of_the_demos_campaigns_earn_alike_or_say_why(ran: Ran) -> None:
    """Its campaigns as they stand, and a hundred states of them thrown about."""
    saved, features = ran.out / "bundle", step_folder(ran.out, "features")
    served, market = bundle.load(saved), load_market(step_folder(ran.out, "market"))
    given = [
        *(one.allocation for one in allocate(saved, features) if isinstance(one, Answer)),
        *answers(served, random_statistics(market, 100)),
    ]
    assert [one.campaign for one in given[:3]] == ["campaign_1", "campaign_2", "campaign_3"]
    assert max(map(spread, given)) < 0.1
    assert len(free(given)) > 2 * len(given)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--campaign", "nobody"], "campaign: 'nobody' is not in this bundle"),
        (["--budget", "500"], "--budget: it is for one of the 3 campaigns"),
        (["--freeze", "search"], "--freeze: it is for one of the 3 campaigns"),
        (["--campaign", "campaign_1", "--limit", "tv:0:1"], "platform 'tv' is unknown"),
        (["--campaign", "campaign_1", "--limit", "search:0.9:0.2"], "above its max"),
        (["--campaign", "campaign_1", "--budget", "-5"], "--budget '-5': leaves nothing to spend"),
    ],
)
def test_a_question_that_cannot_be_answered_is_one_line(arguments: list[str], message: str, ran: Ran) -> None:
    result = CliRunner().invoke(app, ["allocate", str(ran.out), *arguments])
    assert result.exit_code == 2
    assert message in result.output
    assert result.output.count("\n") == 1


@pytest.mark.slow
def test_the_report_can_be_rendered_again(ran: Ran) -> None:
    before = (ran.out / "report.html").read_text()
    (ran.out / "report.html").unlink()
    assert CliRunner().invoke(app, ["report", str(ran.out)]).exit_code == 0
    assert (ran.out / "report.html").read_text() == before


@pytest.mark.slow
@pytest.mark.parametrize("text", ["", "uid,campaign\n1,2\n"])
def test_a_bad_log_is_one_line_and_leaves_no_result(text: str, tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text(text)
    out = tmp_path / "out"
    done = subprocess.run(
        [*command(out), "--source", "criteo", "--data", str(log)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("error: ingest: ")
    assert "Traceback" not in done.stderr + done.stdout
    assert not (out / "summary.json").exists()
    assert not (out / "report.html").exists()
    assert not list((out / "steps").glob("*/*/done.json"))


def test_an_experiment_of_the_registered_policy(ran: Ran) -> None:
    """What it needs, and how it would go; both from the finished run alone."""

    def asked(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "pipelines.cli.main", "experiment", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    planned = asked("plan", str(ran.out), "--json")
    assert planned.returncode == 0, planned.stderr
    found = json.loads(planned.stdout)
    assert found["cycles"] >= 2
    assert found["budget"] > 0
    seven, _, month = found["power_after_7_14_28_cycles"]
    assert 0 < seven <= month <= 1
    simulated = asked("simulate", str(ran.out), "--runs", "4", "--days", "21", "--json")
    assert simulated.returncode == 0, simulated.stderr
    told = json.loads(simulated.stdout)
    planned_money = {arm: days["planned"][0] for arm, days in told["first_run"].items()}
    assert planned_money["policy"] / planned_money["control"] == pytest.approx(7 / 3, rel=0.05)
    assert told["bundle"]
    refused = asked("plan", str(ran.out), "--lift", "0")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "lift: 0.0; give a relative change" in refused.stderr
    nowhere = asked("simulate", str(ran.out / "nowhere"))
    assert nowhere.returncode == 2
    assert "holds no finished run" in nowhere.stderr
