"""`benchmarks.field`: its figures follow from the worlds' truth, and who stands beside the product is played fair."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import field
from benchmarks._field_answers import Answer, log_log, pymc, pymc_command
from benchmarks._field_kinds import KINDS, SIXTY
from benchmarks._field_rows import dumped
from benchmarks._field_tables import markdown
from benchmarks._field_worlds import World, world

HERE = Path(__file__).parents[2]
WEEKLY = ("weekly", 3)

CURVES = """
import csv, json, sys
from pathlib import Path
source, out, most = sys.argv[1:]
rows = list(csv.DictReader(Path(source).open()))
mean = {name: sum(float(row[name]) for row in rows) / len(rows) for name in rows[0] if name not in ("date", "revenue")}
spend = [float(most) * step / 2000 for step in range(2001)]
height = {name: [level * money**0.5 for money in spend] for name, level in mean.items()}
Path(out).write_text(json.dumps({"spend": spend, "revenue": height}))
"""


@pytest.mark.slow
def test_a_history_is_answered_and_judged(tmp_path: Path) -> None:
    kept = tmp_path / "kept.json"
    result = field.measure(["weekly"], range(3, 4), None, "left out", kept=kept)
    (one,) = result["histories"]
    made = world(*WEEKLY)
    assert one["refused"] is None
    assert one["regret"]["today"] == pytest.approx(made.regret(made.today_CP))
    assert 0 <= one["regret"]["recommended"] < one["regret"]["today"]
    assert one["promised over earned"] == pytest.approx(1, abs=0.3)
    assert one["today told over today"] == pytest.approx(1, abs=0.3)
    asked = {what: found["of"] for what, found in one["intervals"].items()}
    platforms = len(made.platforms)
    assert asked == {"marginal ROI": platforms} | {
        f"{what} x{factor}": count
        for what, count in (("revenue", 1), ("platform", platforms))
        for factor in ("0.5", "1", "2")
    }
    row = result["kinds"]["weekly"]
    assert row["goal"] == 0.01
    assert row["met"] == (one["regret"]["recommended"] <= 0.01)
    assert row["regret"]["PyMC-Marketing"] is None
    assert result["coverage"]["outside"] == {}
    assert "GENERATED DATA; left out" in field.table(result)
    # What is kept is not played again.
    assert field.measure(["weekly"], range(3, 4), None, "left out", kept=kept)["histories"] == [one]
    with pytest.raises(ValueError, match="--resume"):
        field.measure(["weekly"], range(4, 5), None, "left out", kept=kept)


def answered(made: World, split: np.ndarray) -> Answer:
    true = made.revenue(made.today_CP)
    return Answer(
        split_CP=split,
        promised=2 * made.revenue(split),
        today=1.5 * float(made.today_CP.sum()),
        intervals={"revenue x1": [(true, 0.9 * true, 1.1 * true), (true, 1.1 * true, 1.2 * true)]},
        seconds=3.0,
        accepted_CP=split,
        sure=0.97,
        judging=1.0,
    )


def refusing(made: World, folder: Path) -> Answer:
    raise ValueError("nothing to learn from")


def test_every_history_is_a_row_from_which_means_and_intervals_follow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(field, "product", lambda made, _: answered(made, made.best()))
    result = field.measure(["weekly"], range(3, 6), None, "left out")
    monkeypatch.setattr(field, "product", refusing)
    result["histories"] += field.measure(["weekly"], range(6, 7), None, "left out")["histories"]
    text = dumped(result)
    found = json.loads(text)
    table = found.pop("histories")
    assert found == json.loads(json.dumps({name: part for name, part in result.items() if name != "histories"}))
    told = [dict(zip(table["columns"], row, strict=True)) for row in table["rows"]]
    assert [(one["kind"], one["seed"], one["refused"]) for one in told] == [
        *(("weekly", seed, None) for seed in (3, 4, 5)),
        ("weekly", 6, "nothing to learn from"),
    ]
    # One of the two intervals holds the truth.
    assert [(one["revenue x1: hits"], one["revenue x1: of"]) for one in told] == [(1, 2)] * 3 + [(None, None)]
    assert [one["accepted"] for one in told] == [True] * 3 + [None]
    for mine, whole in zip(told[:3], result["histories"][:3], strict=True):
        assert mine["regret: today"] == pytest.approx(whole["regret"]["today"], rel=1e-5)
        assert mine["best gain"] == pytest.approx(whole["decision"]["best gain"], rel=1e-5)
        assert mine["promised over earned"] == pytest.approx(2, rel=1e-5)
        assert mine["revenue x1: width"] == pytest.approx(0.15, rel=1e-5)
        assert mine["regret: PyMC-Marketing"] is None
    # A history is a line of the file.
    assert sum(line.strip().startswith('["weekly"') for line in text.splitlines()) == 4


def test_regret_promise_and_coverage_are_the_worlds(monkeypatch: pytest.MonkeyPatch) -> None:
    made = world(*WEEKLY)
    monkeypatch.setattr(field, "product", lambda made, _: answered(made, made.best()))
    one = field.history(WEEKLY)
    assert one["regret"]["recommended"] == pytest.approx(0, abs=1e-9)
    assert one["promised over earned"] == pytest.approx(2)
    assert one["today told over today"] == pytest.approx(1.5)
    assert one["intervals"]["revenue x1"] == {
        "of": 2,
        "covered": 0.5,
        "width": pytest.approx(0.15),
    }
    monkeypatch.setattr(field, "product", lambda made, _: answered(made, made.today_CP))
    again = field.history(WEEKLY)
    assert again["regret"]["recommended"] == again["regret"]["today"] == pytest.approx(made.regret(made.today_CP))


def test_a_decision_is_judged_by_the_truth(monkeypatch: pytest.MonkeyPatch) -> None:
    made = world(*WEEKLY)
    gain = made.revenue(made.best()) / made.revenue(made.today_CP) - 1
    worst = np.zeros_like(made.today_CP)
    worst[:, int(made.marginal_CP(made.today_CP)[0].argmin())] = made.today_CP.sum()
    found = []
    for split in (made.best(), made.today_CP, worst):
        monkeypatch.setattr(field, "product", lambda made, _, split=split: answered(made, split))
        found.append(field.history(WEEKLY)["decision"])
    best, today, lost = found
    assert (best["accepted"], today["accepted"], lost["accepted"]) == (True, False, True)
    assert best["gain"] == best["best gain"] == pytest.approx(gain)
    assert today["gain"] == 0
    assert lost["gain"] < 0
    assert best["probability"] == 0.97
    # Four campaigns, each on a platform of its own: where the others are not to be had, nothing can be moved.
    apart = world("apart", 3)
    monkeypatch.setattr(field, "product", lambda made, _: answered(made, made.today_CP))
    gains = field.history(("apart", 3))["decision"]
    assert gains["best gain"] > 0.01
    assert gains["best gain without probes"] == pytest.approx(0, abs=1e-9)
    assert apart.tried_CP.sum(1).max() == 1


def test_rates_of_decisions_are_over_histories() -> None:
    def one(accepted: bool, gain: float, best: float, known: float) -> dict[str, Any]:
        decision = {"accepted": accepted, "gain": gain, "best gain": best, "best gain without probes": known}
        return {"refused": None, "decision": decision | {"cpu s": 1.0, "probability": 0.9}}

    histories = [one(True, 0.1, 0.2, 0.2), one(True, -0.1, 0.2, 0.1), one(False, 0.0, 0.2, 0.0)]
    histories.append(one(True, 0.01, 0.02, 0.02))
    told = field.decisions([*histories, {"refused": "why"}])
    assert (told["histories"], told["accepted"]) == (4, 3)
    assert (told["lost"]["hits"], told["lost"]["of"], told["lost"]["met"]) == (1, 3, False)
    assert (told["found"]["hits"], told["found"]["of"], told["found"]["met"]) == (2, 3, False)
    assert [told["found without probes"][name] for name in ("hits", "of", "met")] == [2, 2, True]
    assert told["lost"]["ci95"][0] < 1 / 3 < told["lost"]["ci95"][1]
    assert field.decisions([])["lost"]["mean"] is None


def test_a_refused_history_is_told_and_misses_the_goal(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any) -> Answer:
        raise ValueError("spend: nothing was spent; pass another history")

    monkeypatch.setattr(field, "product", refused)
    result = field.measure(["weekly"], range(3, 4), None, "left out")
    row = result["kinds"]["weekly"]
    assert row["refused"] == ["spend: nothing was spent; pass another history"]
    assert row["met"] is False
    assert row["regret"]["recommended"] is None
    assert row["regret"]["today"]["mean"] > 0
    assert "refused: spend: nothing was spent" in field.table(result)


def test_coverage_counts_histories_and_not_intervals() -> None:
    """A history of many intervals weighs as one of few, and the interval is as wide as histories differ."""

    def one(covered: float, of: int) -> dict[str, Any]:
        return {"refused": None, "intervals": {"marginal ROI": {"of": of, "covered": covered, "width": 1.0}}}

    histories = [one(1.0, 2), one(0.0, 200), one(1.0, 2), one(1.0, 2)]
    told = field.coverage(histories, (0.92, 0.98))["marginal ROI"]
    assert told["covered"]["mean"] == 0.75
    assert told["covered"]["ci95"] == [0.25, 1.0]
    assert (told["histories"], told["intervals"], told["met"]) == (4, 206, False)


def test_the_log_log_regression_solves_what_it_can_fit() -> None:
    """Of a history without noise it is the optimum, whatever the rows are of."""
    for kind in ("weekly", "apart"):
        made = world(kind, 1)
        frame = made.frame.copy()
        spend_NCP = np.broadcast_to(
            frame["spend"].to_numpy()[:, None, None] / made.days_per_row, (len(frame), *made.today_CP.shape)
        )
        campaign_N = [made.campaigns.index(name) for name in frame.get("campaign", [""] * len(frame))]
        platform_N = [made.platforms.index(name) for name in frame["platform"]]
        frame["revenue"] = made.revenue_CP(spend_NCP)[np.arange(len(frame)), campaign_N, platform_N] * made.days_per_row
        exact = replace(made, frame=frame)
        split = log_log(exact)
        np.testing.assert_allclose(split.sum(1), made.today_CP.sum(1))
        # A campaign that ran on one platform stays there: of others a regression knows nothing.
        assert exact.regret(split, probe=1e-9) == pytest.approx(0, abs=1e-6)


def test_who_has_no_pymc_marketing_is_told_how(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    command, told = pymc_command(None)
    assert command is None
    assert "not installed here; name an interpreter that has it with --pymc" in told
    command, _ = pymc_command(Path("/elsewhere/python"))
    assert command is not None
    assert command[0] == "/elsewhere/python"
    assert Path(command[1]).is_file()


@pytest.mark.parametrize("kind", ["weekly", "holes"])
def test_the_curves_of_another_process_are_split_by(kind: str, tmp_path: Path) -> None:
    """Channels are the cells that ran; their curves, here a_i sqrt(x), are split in proportion to a_i^2."""
    made = world(kind, 3)
    script = tmp_path / "curves.py"
    script.write_text(CURVES)
    split, seconds = pymc([sys.executable, str(script)], made, tmp_path)
    assert seconds > 0
    assert json.loads((tmp_path / "curves.json").read_text())["spend"][0] == 0
    rows = made.frame["date"].nunique()
    steep = np.zeros_like(made.today_CP)
    for row in made.frame.itertuples():
        cell = made.campaigns.index(getattr(row, "campaign", "")), made.platforms.index(row.platform)
        steep[cell] += row.spend / rows
    wanted = steep**2 / (steep**2).sum(1, keepdims=True) * made.today_CP.sum(1, keepdims=True)
    np.testing.assert_allclose(split, wanted, atol=0.01 * made.today_CP.sum())


def test_who_takes_longer_than_is_given_is_stopped_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "slow.py"
    script.write_text("import time; time.sleep(600)")
    monkeypatch.setattr(field, "product", lambda made, _: answered(made, made.best()))
    one = field.history(WEEKLY, [sys.executable, str(script)], longest=0.05)
    assert "timed out after 0.0" in one["PyMC-Marketing failed"]
    assert field.SLOWER not in one
    assert "PyMC-Marketing" not in one["regret"]


def test_the_document_has_the_figures_of_the_committed_run() -> None:
    result = json.loads((HERE / "benchmarks" / "field.json").read_text())
    lines = set((HERE / "docs" / "field-figures.md").read_text().splitlines())
    tables = markdown(result)
    assert set(result["kinds"]) == {*KINDS, SIXTY}
    assert {name: len(rows) for name, rows in tables.items()} == {
        "kinds": len(result["kinds"]),  # `sixty` is no row, the line between families is one
        "coverage": 7,
        "decisions": 3,
    }
    for name, rows in tables.items():
        assert [row for row in rows if row not in lines] == [], name
