"""`crossmix whatif`: the market of a run asked from the command line, and one clear line for every mistake."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from crossmix.artifacts import GateTable, RunRecord
from crossmix.market import model
from pipelines.cli.main import app
from pipelines.cli.whatif import _part
from tests.support.markets import make_market
from tests.unit.crossmix.evaluate.decision.test_standing import LACKS, OWN, decision


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `whatif` needs of a finished run: run.json and the market's folder."""
    folder = tmp_path_factory.mktemp("run")
    market = folder / "steps" / "market" / "key"
    market.mkdir(parents=True)
    model.save(make_market(platforms=3), market)
    RunRecord(run_id="r", config={}, steps={"market": "steps/market/key"}).save(folder)
    return folder


def invoke(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["whatif", *arguments])
    return result.exit_code, result.output


def test_prints_a_table_and_writes_a_page(out: Path) -> None:
    status, output = invoke(
        str(out), "--campaign", "c1", "--budget", "+30%", "--budget", "-20%", "--limit", "p0::0.1",
        "--target-cpa", "0.001",
    )  # fmt: skip
    assert status == 0, output
    lines = output.splitlines()
    assert lines[0] == "c1, an average weekday, without drift; GENERATED DATA"
    assert "money in USD per cycle of 24 hours" in lines[1]
    labels = [line.split()[1] for line in lines[4:8]]
    assert labels == ["-20%", "today", "+20%", "+30%"]
    assert "best split of" in output
    assert "max: " in output
    assert "a point to raise" in output
    assert "no budget meets it; the nearest is" in output
    assert lines[-1] == f"page {out / 'whatif.html'}"
    assert "<h1>" in (out / "whatif.html").read_text()


def test_json_and_another_page(out: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    status, output = invoke(
        str(out), "--campaign", "c0", "--budget", "300", "--weekday", "sun", "--json", "--html", str(page),
        "--share", "p0:0.5", "--share", "p1:0.25", "--share", "p2:0.25", "--freeze", "p0",
    )  # fmt: skip
    assert status == 0, output
    answer = json.loads(output)
    assert answer["moment"] == "a Sunday, without drift"
    assert answer["today"] == [0.5, 0.25, 0.25]
    assert [one["best"]["budget"] for one in answer["budgets"]][3] == 300
    assert answer["budgets"][3]["best"]["platforms"][0]["share"]["value"] == pytest.approx(0.5, abs=1e-6)
    assert {"value", "low", "high"} == set(answer["budgets"][0]["best"]["cpa"])
    assert len(answer["curves"]) == len(answer["perturbations"]) == 3
    assert page.exists()


def test_the_standing_of_the_run_comes_first(out: Path, tmp_path: Path) -> None:
    run = tmp_path / "judged"
    gate = run / "gate"
    shutil.copytree(out, run)
    gate.mkdir()
    GateTable(gates=(LACKS,), passed=False).save(gate)
    decision(replace(OWN, campaign="c0", probability=0.9, proved=False)).save(gate)
    RunRecord(run_id="r", config={}, steps={"market": "steps/market/key", "gate": "gate"}).save(run)
    status, output = invoke(str(run), "--campaign", "c0")
    assert status == 0, output
    first, second, _, third = output.splitlines()[:4]
    assert first == "PLAUSIBLE: gate decision.gain, insufficient data: d, wanted P(gain > 0) >= 0.95"
    assert second.startswith("first test: spend 130.00 and 70.00 EUR a day on tiktok in turn")
    assert third.startswith("c0, an average weekday")
    assert "How far to trust this" in (run / "whatif.html").read_text()
    answer = json.loads(invoke(str(run), "--campaign", "c0", "--json")[1])
    assert answer["standing"]["word"] == "plausible"


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_undefined_is_a_dash(value: float) -> None:
    assert _part(value) == "-"
    assert _part(0.973) == "97.3%"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "campaign: the market knows 2: c0, c1; name one"),
        (["--campaign", "c7"], "campaign: 'c7' is unknown; use one of c0, c1"),
        (["--campaign", "c0", "--weekday", "7"], "--weekday '7': is no weekday; give monday to sunday"),
        (["--campaign", "c0", "--weekday", "someday"], "--weekday 'someday': is no weekday"),
        (["--campaign", "c0", "--budget", "much"], "--budget 'much': write an amount per cycle"),
        (["--campaign", "c0", "--budget", "nan"], "--budget 'nan': write an amount per cycle"),
        (["--campaign", "c0", "--budget", "-5"], "--budget '-5': leaves nothing to spend"),
        (["--campaign", "c0", "--budget", "0"], "--budget '0': leaves nothing to spend"),
        (["--campaign", "c0", "--budget", "-100%"], "--budget '-100%': leaves nothing to spend"),
        (["--campaign", "c0", "--budget", "20%"], "write a change of today's budget with its sign, as +20%"),
        (["--campaign", "c0", "--budget", "1e12"], "is far above the"),
        (["--campaign", "c0", "--target-cpa", "0"], "target-cpa: 0.0; give a number above 0 (USD per conversion)"),
        (["--campaign", "c0", "--target-roas", "-1"], "target-roas: -1.0; give a number above 0"),
        (["--campaign", "c0", "--limit", "p0:0.9:0.1"], "limits: min 0.9 of p0 is above its max 0.1"),
        (["--campaign", "c0", "--limit", "p0"], "--limit 'p0': write it as platform:min:max"),
        (["--campaign", "c0", "--freeze", "tv"], "limits.freeze: platform 'tv' is unknown"),
        (["--campaign", "c0", "--share", "p0=1"], "--share 'p0=1': write it as platform:share"),
        (["--campaign", "c0", "--share", "p0:0.2"], "today's shares sum to 0.2"),
        (["--campaign", "c0", "--present"], "carries no record of its cycles"),
    ],
)
def test_a_mistake_is_one_line(arguments: list[str], message: str, out: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    status, output = invoke(str(out), "--html", str(page), *arguments)
    assert status == 2, output
    assert output.startswith("error: ")
    assert message in output
    assert output.count("\n") == 1
    assert not page.exists()


def test_a_folder_without_a_market_is_refused(tmp_path: Path) -> None:
    def refused(message: str) -> None:
        status, output = invoke(str(tmp_path))
        assert (status, output.count("\n")) == (2, 1), output
        assert message in output

    refused("holds no finished run (run.json is missing)")
    (tmp_path / "run.json").write_text("{half")
    refused("its market cannot be read")
    RunRecord(run_id="r", config={}, steps={}).save(tmp_path)
    refused("holds no finished market step")
    RunRecord(run_id="r", config={}, steps={"market": "gone"}).save(tmp_path)
    refused("holds no finished market step")
    (tmp_path / "gone").mkdir()
    (tmp_path / "gone" / "market.json").write_text(json.dumps({"version": 99}))
    refused("version 99 is unknown")


def test_a_page_without_a_folder_is_told_before_any_work(out: Path, tmp_path: Path) -> None:
    status, output = invoke(str(out), "--campaign", "c0", "--html", str(tmp_path / "no" / "page.html"))
    assert status == 2
    assert "page.html: its folder does not exist; make it or name another file" in output
    assert output.count("\n") == 1


def test_a_page_that_cannot_be_written_is_told(out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.cli.whatif.ask", lambda *_, **__: None)  # the page is all that this is about

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("crossmix.whatif.page.render", full)
    status, output = invoke(str(out), "--html", str(tmp_path / "page.html"))
    assert status == 2
    assert "cannot be written (No space left on device); name another file" in output
    assert output.count("\n") == 1
