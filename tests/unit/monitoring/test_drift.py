"""Evidently's door: it flags what was decided and nothing else, keeps snapshots and pages, and outlives silence."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from monitoring import drift
from monitoring.columns import compare

pytestmark = pytest.mark.slow  # Evidently's import

AT = datetime(2026, 3, 1, tzinfo=UTC)


def tables(rows: int = 10_000) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Numbers, categories and flags, one of each shifted; and columns that nothing can be said about."""
    rng = np.random.default_rng(1)

    def one(shifted: bool) -> pd.DataFrame:
        frame = pd.DataFrame(rng.standard_normal((rows, 3)), columns=["moved", "still", "holes"])
        frame["moved"] += 0.3 * shifted
        frame["moved_word"] = rng.choice(["a", "b"], rows, p=[0.7, 0.3] if shifted else [0.5, 0.5])
        frame["still_word"] = rng.choice(["a", "b"], rows)
        frame["still_flag"] = rng.random(rows) < 0.5
        frame.loc[: rows // 10, "holes"] = np.nan
        frame.loc[0, "still"] = np.inf
        return frame.assign(silent=np.nan, constant=1.0)

    return one(False), one(True)


def kept(path: Path) -> dict[str, Any]:
    """A snapshot's file."""
    content: dict[str, Any] = json.loads(path.read_text())
    return content


def flags(content: dict[str, Any]) -> dict[str, str]:
    """Status by column of every test of a snapshot."""
    tests = [(one["display_name"], test) for one in content["metric_results"].values() for test in one["tests"]]
    return {name.removeprefix("Value drift for "): test["status"] for name, test in tests}


def test_evidently_flags_the_shifted_columns_and_no_quiet_one(tmp_path: Path) -> None:
    """Were the stattest registered for "num" instead of its `ColumnType`, there would be no such answer."""
    kept_one = drift.snapshot(tmp_path / "evidently", *tables(), name="brand", at=AT, alerting=False)
    assert flags(kept(kept_one.path)) == {
        "moved": "FAIL",
        "moved_word": "FAIL",
        "still": "SUCCESS",
        "holes": "SUCCESS",
        "still_word": "SUCCESS",
        "still_flag": "SUCCESS",
    }
    assert kept_one.left_out == ("silent: empty in the reference", "constant: constant")
    assert kept(kept_one.path)["metadata"] == {
        "left out: silent": "empty in the reference",
        "left out: constant": "constant",
    }
    assert kept_one.html is None
    assert not (tmp_path / "evidently" / drift.PAGES).exists()


def test_what_evidently_shows_is_our_distance(tmp_path: Path) -> None:
    reference, current = tables(2_000)
    found = compare(reference, current, drift.SNAPSHOT_LIMITS)
    content = kept(drift.snapshot(tmp_path, reference, current, name="brand", at=AT, alerting=False).path)
    shown = {
        one["display_name"].removeprefix("Value drift for "): one["value"]
        for one in content["metric_results"].values()
        if one["display_name"].startswith("Value drift")
    }
    assert shown == pytest.approx({column.name: column.effect for column in found.columns})


def test_a_page_is_written_on_an_alert_only_and_a_snapshot_once_per_time(tmp_path: Path) -> None:
    reference, current = tables(500)
    folder = tmp_path / "evidently"
    quiet = drift.snapshot(folder, reference, reference, name="../brand", at=AT, alerting=False)
    again = drift.snapshot(folder, reference, current, name="../brand", at=AT, alerting=True)
    assert again.path == quiet.path
    assert again.html is not None
    assert again.html.parent == folder / drift.PAGES
    assert "<html" in again.html.read_text(encoding="utf-8")
    assert [path.name for path in folder.glob("*/snapshots/*")] == [again.path.name]
    assert kept(again.path)["tags"] == ["alert"]
    assert [path.name for path in tmp_path.iterdir()] == ["evidently"]
    (project,) = folder.glob("*/metadata.json")
    assert json.loads(project.read_text())["name"] == "../brand"
    assert kept(again.path)["timestamp"] == AT.isoformat()


@pytest.mark.parametrize("rows", [0, 30])
def test_a_table_that_fell_silent_is_kept_and_told(rows: int, tmp_path: Path) -> None:
    reference = pd.DataFrame({"a": np.linspace(0, 1, 30), "b": np.nan})
    current = pd.DataFrame({"a": [np.nan] * rows, "b": [np.nan] * rows})
    silent = drift.snapshot(tmp_path, reference, current, name="brand", at=AT, alerting=True)
    assert silent.left_out == ("a: empty in the current table", "b: empty in the reference")
    assert silent.path.is_file()
    assert silent.html is not None
    assert silent.html.is_file()


def test_a_time_without_a_zone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(drift.DriftError, match="no time zone"):
        drift.snapshot(tmp_path, *tables(50), name="brand", at=datetime(2026, 3, 1), alerting=False)


def test_a_page_of_nothing_is_refused(tmp_path: Path) -> None:
    nothing = pd.DataFrame({"a": [np.nan]})
    with pytest.raises(drift.DriftError, match="no column was compared"):
        drift.page(tmp_path / "page.html", compare(nothing, nothing), nothing, nothing)
