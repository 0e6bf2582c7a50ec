"""The report: self-contained, escaped, honest about what is missing, and the same for the same run."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from crossmix.artifacts import ArtifactError, Evaluation, MarketReport, Summary
from crossmix.artifacts.ingested import DaySpend
from crossmix.metrics import METRIC
from crossmix.report.data import spend
from crossmix.report.inputs import ReportInputs
from crossmix.report.page import judged_figures, render
from tests.support.html_pages import Page, words
from tests.support.report_steps import DEMO, NAMES, demo, summary
from tests.unit.crossmix.evaluate.decision.test_standing import OWN, decision


def rendered(steps: dict[str, Path], *, registered: bool = True) -> str:
    """The report of a made-up run."""
    return render(ReportInputs.collect(steps, Summary.of(summary()) if registered else None))


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    return rendered(demo(tmp_path_factory.mktemp("steps")))


def test_the_page_asks_nothing_of_anyone(page: str) -> None:
    parsed = Page(page)
    assert not parsed.open
    assert all(link.startswith("#") for link in parsed.links), [x for x in parsed.links if not x.startswith("#")]
    assert not {"script", "iframe", "img", "link", "object"} & set(parsed.tags)
    assert not re.search(r"@import|url\((?!#)|src=", page)
    assert '<meta name="viewport" content="width=device-width' in page
    assert len(page.encode()) < 2_000_000
    missing = {link[1:] for link in parsed.links} - set(parsed.ids)
    assert not missing


def test_it_shows_every_part(page: str) -> None:
    text = words(page)
    assert "GENERATED DATA" in text
    assert "Gates passed" in text
    assert "97.5\u202f% of what a clairvoyant oracle would" in text
    for label in NAMES.values():
        assert label in text
    for platform in DEMO:
        assert platform in text
    for verdict in ("pass", "insufficient data", "not applicable"):
        assert f">{verdict}</span>" in page
    for metric in METRIC.values():
        assert f"<summary>{metric.label} " in page
    for phrase in (
        "214\u202f332",
        "12 price paid negative",
        "efficientnet-lite0",
        "pathwise",
        "version 1",
        "crossmix allocate",
    ):
        assert phrase in text
    assert page.count("<svg") == 13 + len(DEMO)
    assert page.count("<figcaption>") == 13


def test_training_alignment_and_meta_training_are_drawn(page: str) -> None:
    text = words(page)
    for title in ("DDPG critic loss", "PPO entropy, nats", "generator loss (eq. 5)", "after its inner steps"):
        assert title in text, title
    assert f"until these were multiplied: click rate of {next(iter(DEMO))} by 1.31" in text
    assert "Validation: 0.9810 before, 0.9840 after; kept was the aligned policy" in text
    assert "15 iterations of MAML" in text
    assert "hybrid" in text


def test_an_alignment_that_had_too_little_to_go_by_says_so(tmp_path: Path) -> None:
    steps = demo(tmp_path)
    (steps["align"] / "align.json").write_text('{"target": "market", "kept": "trained", "too_few": 17, "enough": 100}')
    text = words(rendered(steps))
    assert "The log has 17 transitions, of the 100 that alignment asks for: nothing was moved" in text


def test_how_late_conversions_come_is_said_where_it_was_found(page: str, tmp_path: Path) -> None:
    steps = demo(tmp_path)
    late = "Conversions on search come 3.1 days after the click on average, half within 2; found from totals."
    replace(MarketReport.load(steps["market"]), late=late).save(steps["market"])
    assert late in words(rendered(steps))
    assert "after the click on average" not in words(page)


def test_the_same_run_gives_the_same_page(page: str, tmp_path: Path) -> None:
    again = render(ReportInputs.collect(demo(tmp_path / "steps"), Summary.of(summary())), tmp_path / "report.html")
    assert again == page == (tmp_path / "report.html").read_text(encoding="utf-8")


def test_failed_gates_say_which_and_that_nothing_is_registered(tmp_path: Path) -> None:
    text = render(ReportInputs.collect(demo(tmp_path, ("9075", "2869", "1234"), passed=False)))
    assert "GENERATED DATA" not in text
    assert "1 required gate did not pass" in text
    failed = "fidelity.campaign.cvr: 0.0840, threshold 95 % interval within ±5% (+8.4% [+5.5%, +11.3%], 900 held-out"
    assert failed in text
    assert "Nothing is registered: a required gate did not pass" in text


def test_gates_that_could_not_be_judged_say_why(tmp_path: Path) -> None:
    steps = demo(tmp_path, ("9075", "2869", "1234"), passed=False)
    file = steps["gate"] / "gates.json"
    table = json.loads(file.read_text())
    for gate in table["gates"]:
        if gate["verdict"] == "fail":
            gate |= {"verdict": "insufficient data", "value": None, "detail": "900 events, 300 are missing"}
    file.write_text(json.dumps(table))
    text = words(render(ReportInputs.collect(steps)))
    assert "1 required gate did not pass" in text
    told = "fidelity.campaign.cvr: insufficient data, threshold 95 % interval within ±5% (900 events, 300 are missing)"
    assert told in text


def test_hours_and_days_are_named_apart() -> None:
    hours = [DaySpend(date=f"2017-01-0{1 + at // 24}T{at % 24:02d}:00", spend={"a": 1.0}) for at in range(34)]
    chart = spend(hours, ["a"])
    assert [f">{name}<" in chart for name in ("01-01 00:00", "01-01 11:00", "01-01 22:00", "01-02 09:00")] == [True] * 4
    assert ">2017-01-01<" in spend([DaySpend(date="2017-01-01", spend={"a": 1.0})], ["a"])


@pytest.mark.parametrize("absent", ["ingest", "fusion", "market", "train", "gate", "register"])
def test_a_missing_step_is_told_not_a_crash(tmp_path: Path, absent: str) -> None:
    steps = demo(tmp_path, ("a", "b", "c"))
    del steps[absent]
    assert not Page(rendered(steps, registered=absent != "register")).open


@pytest.mark.parametrize("key", ["fidelity", "trajectory", "policies"])
def test_a_file_of_another_version_is_refused_with_the_command(tmp_path: Path, key: str) -> None:
    steps = demo(tmp_path, ("a", "b"))
    file = steps["gate"] / "evaluation.json"
    content = json.loads(file.read_text())
    del content[key]
    file.write_text(json.dumps(content))
    with pytest.raises(ArtifactError, match=rf"evaluation.json: {key}: missing.*crossmix run"):
        ReportInputs.collect(steps)


def test_nothing_at_all_is_a_page_too() -> None:
    text = render(ReportInputs())
    for sentence in (
        "No policy was judged",
        "Not judged",
        "No evaluation is there",
        "No data report is there",
        "No fit is there",
        "No market report is there",
        "No training curve is there",
        "No trajectory is there",
        "No marginal ROI is there",
        "No comparison with the log is there",
        "No gate was judged",
        "Nothing is registered",
    ):
        assert sentence in text


@pytest.mark.parametrize("platforms", [("only",), ("a", "b"), ("a", "b", "c")])
def test_few_platforms(tmp_path: Path, platforms: tuple[str, ...]) -> None:
    assert not Page(render(ReportInputs.collect(demo(tmp_path, platforms)))).open


def test_names_from_the_log_are_escaped_everywhere(tmp_path: Path) -> None:
    hostile = "<script>alert(1)</script>&\"'"
    text = render(ReportInputs.collect(demo(tmp_path, (hostile, "b", "c", "d"))))
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert not Page(text).open


def test_numbers_that_are_not_there_are_dashes(tmp_path: Path) -> None:
    steps = demo(tmp_path)
    file = steps["gate"] / "evaluation.json"
    content = json.loads(file.read_text())
    for policy in content["policies"].values():
        policy["gap_closed"] = policy["roi"] = {"mean": float("nan"), "ci95": [float("nan")] * 2}
        for row in policy["platform"].values():
            row.update(cpa=None, cvr=float("nan"), conversions=0, clicks=0)
    content["marginal_roi"][DEMO[0]]["at_oracle"] = float("nan")
    file.write_text(json.dumps(content))
    text = rendered(steps)
    assert not Page(text).open
    assert "nan" not in text.lower()
    assert "None" not in words(text)
    assert "what a clairvoyant oracle would." in text


def test_folders_may_carry_the_names_of_their_kind(tmp_path: Path) -> None:
    steps = demo(tmp_path, ("a", "b", "c"))
    kinds = {"dataset": "ingest", "fusion": "fusion", "market": "market", "policy": "train", "gate": "gate"}
    inputs = ReportInputs.collect({kind: steps[name] for kind, name in kinds.items()})
    assert inputs.meta
    assert inputs.curve
    assert inputs.summary is None


def test_charts_for_the_registry_are_files_of_their_own(tmp_path: Path) -> None:
    drawn = judged_figures(Evaluation.load(demo(tmp_path)["gate"]))
    assert set(drawn) == {"oracle_ratio.svg", "simplex.svg", "shares_policy.svg", "shares_oracle.svg"}
    for text in drawn.values():
        root = ElementTree.fromstring(text)
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert not {variable for variable in re.findall(r"var\((--\w+)\)", text) if f"{variable}:#" not in text}
    assert "crossmix policy" in drawn["oracle_ratio.svg"]


def test_commands_to_copy_name_a_running_campaign_as_a_shell_takes_it(tmp_path: Path) -> None:
    inputs = ReportInputs.collect(demo(tmp_path), Summary.of(summary()))
    assert inputs.evaluation is not None
    spoken = replace(inputs, evaluation=replace(inputs.evaluation, campaigns=("over", "Launch Nova")))
    ended = decision(replace(OWN, campaign="over", ended="2025-03-06"), replace(OWN, campaign="Launch Nova"))
    assert "crossmix allocate OUT --campaign 'Launch Nova' --budget +30%" in words(
        render(replace(spoken, decision=ended))
    )
