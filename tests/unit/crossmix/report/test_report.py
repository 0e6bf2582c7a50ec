"""The report: self-contained, escaped, honest about what is missing, and the same for the same run."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from crossmix.pages import charts as figures
from crossmix.pages import format as formats
from crossmix.report import tables
from crossmix.report.page import ReportInputs, judged_figures, render
from tests.support.report_steps import DEMO, NAMES, demo, summary

VOID = {"meta", "br", "img", "hr", "input", "link"}


class Page(HTMLParser):
    """Collects what a page refers to, its ids, and whether its tags nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.ids: list[str] = []
        self.tags: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attributes:
            if name in ("href", "src", "xlink:href", "srcset", "action"):
                self.links.append(value or "")
            if name == "id":
                self.ids.append(value or "")

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    return render(ReportInputs.collect(demo(tmp_path_factory.mktemp("steps")), summary()))


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
    text = re.sub(r"<[^>]+>", " ", page)
    assert "GENERATED DATA" in text
    assert "Gates passed" in text
    assert "97.5\u202f% of what a clairvoyant oracle would" in text
    for label in NAMES.values():
        assert label in text
    for platform in DEMO:
        assert platform in text
    for verdict in ("pass", "insufficient data", "not applicable"):
        assert f">{verdict}</span>" in page
    for _, title, _, _ in formats.METRICS:
        assert f"<summary>{title} " in page
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
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))
    for title in ("DDPG critic loss", "PPO entropy, nats", "generator loss (eq. 5)", "after its inner steps"):
        assert title in text, title
    assert f"until these were multiplied: click rate of {next(iter(DEMO))} by 1.31" in text
    assert "Validation: 0.9810 before, 0.9840 after; kept was the aligned policy" in text
    assert "15 iterations of MAML" in text
    assert "hybrid" in text


def test_an_alignment_that_had_too_little_to_go_by_says_so(tmp_path: Path) -> None:
    steps = demo(tmp_path)
    (steps["align"] / "align.json").write_text('{"target": "market", "kept": "trained", "too_few": 17, "enough": 100}')
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", render(ReportInputs.collect(steps, summary()))))
    assert "The log has 17 transitions, of the 100 that alignment asks for: nothing was moved" in text


def test_the_same_run_gives_the_same_page(page: str, tmp_path: Path) -> None:
    again = render(ReportInputs.collect(demo(tmp_path / "steps"), summary()), tmp_path / "report.html")
    assert again == page == (tmp_path / "report.html").read_text(encoding="utf-8")


def test_failed_gates_say_which_and_that_nothing_is_registered(tmp_path: Path) -> None:
    text = render(ReportInputs.collect(demo(tmp_path, ("9075", "2869", "1234"), passed=False)))
    assert "GENERATED DATA" not in text
    assert "1 required gate did not pass" in text
    failed = "fidelity.campaign.cvr: 0.0840, threshold 95 % interval within ±5% (+8.4% [+5.5%, +11.3%], 900 held-out"
    assert failed in text
    assert "Nothing is registered: a required gate did not pass" in text


@pytest.mark.parametrize("absent", ["ingest", "fusion", "market", "train", "gate", "register"])
def test_a_missing_step_is_told_not_a_crash(tmp_path: Path, absent: str) -> None:
    steps = demo(tmp_path, ("a", "b", "c"))
    del steps[absent]
    assert not Page(render(ReportInputs.collect(steps, summary() if absent != "register" else None))).open


def test_the_comparison_with_the_log_marks_what_is_beyond_its_bounds(tmp_path: Path) -> None:
    evaluation = json.loads((demo(tmp_path, ("a", "b"))["gate"] / "evaluation.json").read_text())
    evaluation["fidelity"]["deviations"]["b"]["roi"]["value"] = -0.07
    evaluation["fidelity"]["divergences"]["a"]["price"]["value"] = 0.11
    evaluation["fidelity"]["two_sample"]["b"].update(auc=None, low=None, high=None)
    table = tables.compared(evaluation["fidelity"], evaluation["bounds"], "")
    assert [row[0].text for row in table.rows] == ["all", "a", "b"]
    assert sum(width for _, width in table.groups) == len(table.head) - 1
    bold = [(row[0].text, head) for row in table.rows for head, cell in zip(table.head[1:], row[1:], strict=True)
            if "sum" in cell.kind]  # fmt: skip
    assert bold == [("a", "price"), ("b", "ROI")]
    assert table.rows[2][-1].text == formats.DASH
    assert not any(
        "sum" in cell.kind for row in tables.compared(evaluation["shift"], None, "").rows for cell in row[1:]
    )


def test_an_evaluation_without_a_comparison_says_so(tmp_path: Path) -> None:
    steps = demo(tmp_path, ("a", "b"))
    file = steps["gate"] / "evaluation.json"
    content = json.loads(file.read_text())
    del content["fidelity"], content["shift"], content["bounds"]
    file.write_text(json.dumps(content))
    assert "No comparison with the log is there" in render(ReportInputs.collect(steps))


def test_nothing_at_all_is_a_page_too() -> None:
    text = render(ReportInputs())
    assert "No policy was judged" in text
    assert "Not judged" in text


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
        policy["gap_closed"] = None
        policy["roi"] = {"mean": None, "ci95": None}
        for row in policy["platform"].values():
            row.update(cpa=None, cvr=float("nan"), conversions=0)
    content["marginal_roi"][DEMO[0]]["at_oracle"] = None
    content["trajectory"] = None
    file.write_text(json.dumps(content))
    text = render(ReportInputs.collect(steps, summary()))
    assert not Page(text).open
    assert "nan" not in re.sub(r"<[^>]+>", " ", text).lower().replace("finance", "")
    assert "None" not in re.sub(r"<[^>]+>", " ", text)
    assert "No trajectory is there" in text


def test_folders_may_carry_the_names_of_their_kind(tmp_path: Path) -> None:
    steps = demo(tmp_path, ("a", "b", "c"))
    kinds = {"dataset": "ingest", "fusion": "fusion", "market": "market", "policy": "train", "gate": "gate"}
    inputs = ReportInputs.collect({kind: steps[name] for kind, name in kinds.items()}, {})
    assert inputs.meta
    assert inputs.curve
    assert inputs.summary is None


def test_figures_for_the_registry(tmp_path: Path) -> None:
    steps = demo(tmp_path)
    drawn = judged_figures(json.loads((steps["gate"] / "evaluation.json").read_text()))
    assert set(drawn) == {"oracle_ratio.svg", "simplex.svg", "shares_policy.svg", "shares_oracle.svg"}
    for name, figure in drawn.items():
        figure.savefig(tmp_path / name)
        assert figures.svg(figure, name).startswith("<svg viewBox=")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (float("nan"), "–"),
        (float("inf"), "–"),
        (True, "–"),
        (0, "0"),
        (0.00084, "0.000840"),
        (-1234.5, "−1\u202f234"),
        (12.345, "12.3"),
        (3e-12, "3.00e−12"),
    ],
)
def test_numbers(value: object, text: str) -> None:
    assert formats.number(value) == text


def test_percentages_and_intervals() -> None:
    assert formats.percent(0.975) == "97.5\u202f%"
    assert formats.percent(0.000512, 2) == "0.051\u202f%"
    assert formats.estimate({"mean": 0.114, "ci95": [0.107, 0.121]}, "points") == ("+11.4", "+10.7 to +12.1")
    assert formats.estimate({"mean": 0.5, "ci95": [None, None]}) == ("0.500", "")
    assert formats.estimate(None) == ("–", "")


def test_the_best_competitor_is_marked_but_never_the_clairvoyant(tmp_path: Path) -> None:
    evaluation = json.loads((demo(tmp_path)["gate"] / "evaluation.json").read_text())
    for title, _, table in tables.by_metric(evaluation):
        marked = {head for row in table.rows for head, cell in zip(table.head, row, strict=True) if "best" in cell.kind}
        assert "oracle (clairvoyant)" not in marked
        assert bool(marked) == (title in ("ROI", "ROAS", "CPA"))


@pytest.mark.parametrize(
    ("points", "told"),
    [
        ([("pathwise", 0, 0.99), ("pathwise", 100, 0.98)], "by the fitted market’s plan, which no update"),
        ([("pathwise", 0, 0.98), ("pathwise", 100, 0.99)], "in phase pathwise, update 100"),
        ([("mpc", 0, 0.97)], "agent mpc; nothing was trained"),
    ],
)
def test_the_report_says_which_policy_was_kept(tmp_path: Path, points: list, told: str) -> None:
    steps = demo(tmp_path)
    file = steps["train"] / "curve.json"
    curve = json.loads(file.read_text())
    rows = [{"phase": phase, "update": n, "env_steps": n, "validation_ratio": ratio} for phase, n, ratio in points]
    best = max(rows, key=lambda row: row["validation_ratio"])
    file.write_text(json.dumps(curve | {"points": rows, "best": best}))
    page = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", render(ReportInputs.collect(steps, summary()))))
    assert told in page
    assert ("from which training started, has" in page) == (points[0][0] == "pathwise")
