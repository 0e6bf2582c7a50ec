"""The files between steps: read strictly, written whole, an error that names file, key and command."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from crossmix.artifacts import (
    Alignment,
    ArtifactError,
    Curve,
    Done,
    GateTable,
    IngestReport,
    MarketReport,
    RunRecord,
    Split,
)

DONE = {"step": "train", "key": "abc", "seconds": 1.5, "finished": "2025-01-06 10:00:00 UTC"}
POINT = {
    "phase": "hybrid",
    "update": 3,
    "validation_ratio": 0.97,
    "validation_roi": 2.1,
    "env_steps": 640,
    "seconds": 1.0,
    "validation_seconds": 0.5,
    "share": [0.4, 0.6],
}
CURVE = {
    "points": [POINT | {"ppo_entropy": 7.2}],
    "stopped": "all rounds played",
    "best": {"phase": "hybrid", "update": 3, "validation_ratio": 0.97, "validation_roi": 2.1},
    "uniform_ratio": 0.8,
    "env_steps": 640,
    "seed": 0,
    "market_seed": 1000,
    "agent": "hybrid",
    "key": "f" * 64,
    "ranks": 1,
    "platforms": ["a", "b"],
}


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    done = Done(**DONE)  # type: ignore[arg-type]
    assert done.save(tmp_path) == tmp_path / "done.json"
    assert json.loads((tmp_path / "done.json").read_text()) == DONE
    assert Done.load(tmp_path) == done
    assert [file.name for file in tmp_path.iterdir()] == ["done.json"]  # nothing half-written is left


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        (DONE | {"reused": True}, "reused: unknown key"),
        ({key: DONE[key] for key in ("step", "key", "seconds")}, "finished: missing"),
        (DONE | {"seconds": "long"}, "seconds: 'long' does not fit"),
        ([], "content: "),
    ],
)
def test_a_file_of_other_keys_is_one_sentence(content: Any, wrong: str, tmp_path: Path) -> None:
    (tmp_path / "done.json").write_text(json.dumps(content))
    with pytest.raises(ArtifactError) as refused:
        Done.load(tmp_path)
    sentence = str(refused.value)
    assert sentence.startswith(f"{tmp_path / 'done.json'}: {wrong}")
    assert "`crossmix run`" in sentence
    assert "\n" not in sentence


def test_a_missing_and_a_broken_file_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"run\.json: missing; `crossmix run` writes it"):
        RunRecord.load(tmp_path)
    assert RunRecord.found(tmp_path) is None
    assert RunRecord.found(None) is None
    (tmp_path / "run.json").write_text("{half")
    with pytest.raises(ArtifactError, match=r"run\.json: not JSON .*write it anew with `crossmix run`"):
        RunRecord.load(tmp_path)


def test_a_writer_is_held_to_the_same_keys() -> None:
    """Plain data of a step that writes a key of its own invention."""
    gate = {"name": "policy.limits", "value": 0, "threshold": "0 cycles", "verdict": "pass", "required": True}
    with pytest.raises(ArtifactError, match=r"gates\.json: gates\.0\.detail: missing"):
        GateTable.of({"gates": [gate], "passed": True})
    with pytest.raises(ArtifactError, match=r"gates\.json: gates\.0\.win_rate: unknown key"):
        GateTable.of({"gates": [gate | {"detail": "", "win_rate": 1}], "passed": True})


def test_what_a_learner_names_itself_lies_beside_the_other_keys() -> None:
    curve = Curve.of(CURVE)
    assert curve.points[0].figures == {"ppo_entropy": 7.2}
    assert curve.points[0].share == (0.4, 0.6)
    assert curve.plain() == CURVE
    with pytest.raises(ArtifactError, match=r"points\.0\.figures\.ppo_note: 'fine' does not fit"):
        Curve.of(CURVE | {"points": [POINT | {"ppo_note": "fine"}]})


def test_a_part_that_is_absent_by_default_is_left_out() -> None:
    off = {"target": "off", "kept": "trained"}
    assert Alignment.of(off).plain() == off
    assert Alignment.of(off | {"too_few": 51, "enough": 100}).too_few == 51


def test_a_keyword_of_python_is_a_key_like_any_other() -> None:
    split = {"impressions": 5, "conversions": 1.5, "holdout_impressions": 2, "users": None, "from": "a", "to": "b"}
    report = IngestReport.of(
        {
            "rows": {"read": 5, "ingested": 5, "duplicates": 0, "quarantined": {}, "imputed": {}},
            "rates": rates(),
            "by_platform": [{"platform": "search"} | rates()],
            "by_day": [{"date": "2025-01-06", "spend": {"search": 2.5}}],
            "splits": {"train": split},
            "provenance": {"region": "imputed"},
            "notes": [],
        }
    )
    assert report.splits["train"] == Split(
        impressions=5, conversions=1.5, holdout_impressions=2, users=None, from_="a", to="b"
    )
    assert report.plain()["splits"]["train"] == split  # a null without a default stays


def test_a_report_of_an_earlier_version_is_read() -> None:
    """Its days had the platforms beside the date."""
    old = {"date": "2025-01-06", "search": 2.5, "social": 1}
    content = {
        "rows": {"read": 5, "ingested": 5, "duplicates": 0, "quarantined": {}, "imputed": {}, "users": 3},
        "rates": rates(),
        "by_platform": [],
        "by_day": [old],
        "splits": {},
        "provenance": {},
        "notes": [],
    }
    [day] = IngestReport.of(content).by_day
    assert (day.date, day.spend) == ("2025-01-06", {"search": 2.5, "social": 1})


def test_a_market_cell_has_the_parameters_of_the_market() -> None:
    estimate = {"value": 0.1, "se": None, "provenance": "real"}
    cell = {"campaign": "c", "platform": "p", "mean_price": estimate, "ctr": estimate, "saturation": estimate}
    report = {"price_kind": "empirical", "cycle_hours": 24, "generated": False, "notes": [], "platforms": [cell]}
    read = MarketReport.of(report)
    assert list(read.platforms[0].parameters) == ["ctr", "saturation"]
    assert read.plain() == report


def test_numbers_that_json_does_not_have_are_refused_where_asked(tmp_path: Path) -> None:
    done = Done(step="a", key="b", seconds=float("nan"), finished="")
    with pytest.raises(ValueError, match="not JSON compliant"):
        done.save(tmp_path, strict=True)
    assert not list(tmp_path.iterdir())


def test_reading_a_file_needs_no_torch() -> None:
    probe = "import sys, crossmix.artifacts; print({'torch', 'numpy', 'pandas'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def rates() -> dict[str, Any]:
    return {
        "impressions": 5,
        "clicks": 2,
        "conversions": 1,
        "spend": 2.5,
        "revenue": 4.0,
        "ctr": 0.4,
        "cvr": 0.5,
        "conversions_per_impression": 0.2,
        "cpa": 2.5,
        "roas": 1.6,
    }
