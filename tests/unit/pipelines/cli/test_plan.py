"""`crossmix plan`: a brief planned from the command line, its files, what is left after a phase, and every mistake."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from crossmix.creators import brief as briefs
from crossmix.creators import catalogue as catalogues
from crossmix.creators.matrix import check
from pipelines.cli.main import app
from pipelines.cli.plan import begin


def invoke(*arguments: str | Path) -> tuple[int, str]:
    """Exit status, and what was printed on stdout and stderr."""
    result = CliRunner().invoke(app, ["plan", *map(str, arguments)])
    return result.exit_code, result.output


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a newcomer has after `--example`."""
    folder = tmp_path_factory.mktemp("start") / "first"
    status, output = invoke("--example", folder)
    assert status == 0, output
    assert f"next: crossmix plan --catalogue {folder / 'catalogue.csv'} --brief {folder / 'brief.yaml'}" in output
    [asked] = json.loads((folder / "question.json").read_text())["instances"]
    assert briefs.of(asked["brief"]) == briefs.load(folder / "brief.yaml")
    return folder


def _asked(folder: Path) -> list[str | Path]:
    return ["--catalogue", folder / "catalogue.csv", "--brief", folder / "brief.yaml", "--seconds", "0.5"]


def _figures(output: str) -> dict:
    return json.loads(output)


def test_a_plan_is_printed_and_drawn(started: Path) -> None:
    status, output = invoke(*_asked(started))
    assert status == 0, output
    lines = output.splitlines()
    assert lines[0].startswith("spring lipstick: ")
    assert lines[0].endswith(" of 100,000 EUR; GENERATED DATA")
    assert lines[1].startswith("expected effect ")
    assert lines[2].startswith(f"planned with {started / 'catalogue.csv'}: the predictor is fitted on it")
    grid = lines[4:15]
    assert grid[0].split() == ["channel", "tier", "teaser", "launch", "in", "all"]
    assert [row.split()[:2] for row in grid[1:10]] == [
        [channel, tier] for channel in ("instagram", "tiktok", "youtube") for tier in ("head", "mid", "tail")
    ]
    assert "budget: 1,000 EUR more would add about" in output
    assert "next in: c" in output
    assert "last out: c" in output
    assert "no plan under these rules more than" in output
    assert f"page {started / 'brief.html'}" in output
    assert "GENERATED DATA" in (started / "brief.html").read_text()


def test_json_and_csv_tell_one_plan_that_keeps_the_brief(started: Path, tmp_path: Path) -> None:
    status, output = invoke(
        *_asked(started), "--json", "--csv", tmp_path / "plan.csv", "--html", tmp_path / "page.html"
    )
    assert status == 0, output
    found = _figures(output)
    rows = list(csv.DictReader((tmp_path / "plan.csv").open()))
    assert [row["creator_id"] for row in rows] == [one["creator_id"] for one in found["choices"]]
    assert sum(float(row["cost"]) for row in rows) == pytest.approx(found["cost"])
    assert {row["effect"] for row in rows} == {""}
    known = catalogues.read(started / "catalogue.csv")
    chosen = [(row["creator_id"], row["phase"]) for row in rows]
    assert check(known, briefs.load(started / "brief.yaml"), chosen) == []
    assert found["words"]["binding"]
    assert found["generated"] is True
    assert found["assumed"] is False
    assert (tmp_path / "page.html").is_file()


def test_what_is_left_after_a_phase(started: Path, tmp_path: Path) -> None:
    invoke(*_asked(started), "--csv", tmp_path / "plan.csv")
    rows = list(csv.DictReader((tmp_path / "plan.csv").open()))
    for row in rows:
        if row["phase"] == "teaser":
            row["effect"] = f"{0.8 * float(row['expected']):.1f}"
    with (tmp_path / "results.csv").open("w") as file:
        table = csv.DictWriter(file, rows[0])
        table.writeheader()
        table.writerows(rows)
    status, output = invoke(*_asked(started), "--replan", tmp_path / "results.csv", "--json")
    assert status == 0, output
    found = _figures(output)
    done = [row for row in rows if row["phase"] == "teaser"]
    assert found["done"]["phases"] == ["teaser"]
    assert found["done"]["effect"] == pytest.approx(sum(float(row["effect"]) for row in done))
    assert found["budget"] == pytest.approx(100_000 - sum(float(row["cost"]) for row in done))
    assert {one["phase"] for one in found["choices"]} == {"launch"}
    assert not {one["creator_id"] for one in found["choices"]} & {row["creator_id"] for row in done}
    status, output = invoke(*_asked(started), "--replan", tmp_path / "results.csv")
    assert "against what was expected" in output
    assert "done, " in output


def test_without_past_results_a_plan_says_that_the_effect_is_unknown(started: Path, tmp_path: Path) -> None:
    known = list(csv.DictReader((started / "catalogue.csv").open()))
    with (tmp_path / "catalogue.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, [name for name in known[0] if name != "past_results"], extrasaction="ignore")
        writer.writeheader()
        writer.writerows(known)
    (tmp_path / "brief.yaml").write_text((started / "brief.yaml").read_text())
    status, output = invoke(*_asked(tmp_path), "--csv", tmp_path / "plan.csv")
    assert status == 0, output
    low, high = (float(one.replace(",", "")) for one in re.findall(r"\[(.*), (.*)\]", output)[0])
    assert high > 10 * low
    assert output.startswith("EFFECT UNKNOWN: no past results; assumed by public laws, in interactions, ")
    assert "in interactions, assumed" in output.splitlines()[2]
    assert output.splitlines()[3].endswith(
        "catalogue.csv: it has no past results, effects are assumed, and no run has judged it"
    )
    page = (tmp_path / "brief.html").read_text()
    assert "EFFECT UNKNOWN" in page
    assert "interactions by public laws of followers" in page

    done = list(csv.DictReader((tmp_path / "plan.csv").open()))
    with (tmp_path / "results.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(done[0]))
        writer.writeheader()
        writer.writerows({**row, "effect": row["expected"]} for row in done if row["phase"] == "teaser")
    status, output = invoke(*_asked(tmp_path), "--replan", tmp_path / "results.csv", "--json")
    assert status == 0, output
    found = _figures(output)
    assert found["assumed"] is True
    assert found["done"]["phases"] == ["teaser"]
    assert found["low"] < found["high"] < 3 * found["low"]
    _, output = invoke(*_asked(tmp_path), "--replan", tmp_path / "results.csv")
    assert output.startswith("EFFECT UNKNOWN: no past results; assumed by public laws, corrected by ")
    assert "The assumed laws are corrected by it" in output
    assert " of this brief; no forecast" in (tmp_path / "brief.html").read_text()


def test_a_brief_that_no_plan_meets_is_one_sentence(started: Path, tmp_path: Path) -> None:
    text = (started / "brief.yaml").read_text()
    (tmp_path / "brief.yaml").write_text(
        text.replace("channel: youtube, most: 0.5", "tier: tail, least: 0.6, most: 0.9")
    )
    status, output = invoke("--catalogue", started / "catalogue.csv", "--brief", tmp_path / "brief.yaml")
    assert status == 2
    assert output.count("\n") == 1
    assert output.startswith("error: brief.rules: no plan within 100,000 EUR keeps ")
    assert "'tail >= 0.6 of spend'" in output
    assert not (tmp_path / "brief.html").exists()


def test_a_plan_that_does_not_come_in_time_is_one_sentence(started: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from crossmix.creators import worker
    from crossmix.creators.solve import PlanError

    def late(*_: object) -> None:
        raise PlanError("no plan found within 0.5 s; raise the solver's seconds")

    monkeypatch.setattr(worker, "solve", late)
    assert invoke(*_asked(started)) == (1, "error: no plan found within 0.5 s; raise the solver's seconds\n")


def test_what_comes_next_can_be_typed_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`.venv/bin/crossmix`, of an environment that is not active, is not on the path."""
    monkeypatch.setattr("sys.argv", [".venv/bin/crossmix", "plan"])
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "next: .venv/bin/crossmix plan --catalogue" in begin(tmp_path / "away")
    (tmp_path / "crossmix").write_text("#!/bin/sh\n")
    (tmp_path / "crossmix").chmod(0o755)
    assert "next: crossmix plan --catalogue" in begin(tmp_path / "there")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--catalogue", "{0}/catalogue.csv"], "--brief: name a YAML file with a brief; `crossmix plan --example"),
        (["--brief", "{0}/brief.yaml"], "OUT, --catalogue: name the folder of a run of task creators or a catalogue"),
        (["{0}", "--brief", "{0}/brief.yaml", "--catalogue", "{0}/catalogue.csv"], "and not both"),
        (["--catalogue", "{0}/none.csv", "--brief", "{0}/brief.yaml"], "none.csv: no such file; name a CSV file"),
        (["--catalogue", "{0}", "--brief", "{0}/brief.yaml"], "cannot be read (Is a directory)"),
        (["--catalogue", "{0}/catalogue.csv", "--brief", "{0}"], "cannot be read (Is a directory)"),
        (["--catalogue", "{0}/catalogue.csv", "--brief", "{0}/catalogue.csv"], "brief: "),
        (["--catalogue", "{0}/brief.yaml", "--brief", "{0}/brief.yaml"], "brief.yaml: "),
        (
            ["--catalogue", "{0}/catalogue.csv", "--brief", "{0}/brief.yaml", "--csv", "{0}/none/x.csv"],
            "x.csv: its folder does not exist; make it or name another file",
        ),
        (
            ["--catalogue", "{0}/catalogue.csv", "--brief", "{0}/brief.yaml", "--replan", "{0}/none.csv"],
            "none.csv: no such file; name a CSV file with results",
        ),
        (["{0}/none", "--brief", "{0}/brief.yaml"], "none: holds no finished run (run.json is missing)"),
        (["--example", "{0}"], "brief.yaml is there already; name another folder"),
        (["{0}", "--example", "{0}/more"], "it goes alone; leave the others out"),
    ],
)
def test_a_mistake_is_one_line(started: Path, arguments: list[str], says: str) -> None:
    status, output = invoke(*(argument.format(started) for argument in arguments))
    assert status == 2, output
    assert output.startswith("error: ")
    assert says in output
    assert output.count("\n") == 1
