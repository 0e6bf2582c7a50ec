"""When a snapshot is due, and that a look leaves it to a process of its own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pipelines.cli import snapshot

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


def test_one_is_due_once_a_day_of_the_market(tmp_path: Path) -> None:
    assert snapshot.due(tmp_path, NOON)
    (tmp_path / "serving").mkdir()
    snapshot.note(tmp_path, NOON)
    assert [snapshot.due(tmp_path, NOON + timedelta(hours=hours)) for hours in (0, 11, 13)] == [False, False, True]
    (tmp_path / "serving" / "snapshot.json").write_text("[]")
    assert snapshot.due(tmp_path, NOON)


def test_a_single_look_keeps_one_with_a_new_alert_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[bool] = []
    monkeypatch.setattr(snapshot, "aside", lambda *_, page: made.append(page))
    for daily, wanted in ((False, [True]), (True, [False, True])):
        made.clear()
        after = snapshot.after_looks(tmp_path, None, (), None, daily=daily)
        after(NOON, False)
        after(NOON, True)
        assert made == wanted
    made.clear()
    snapshot.after_looks(None, "sqlite://", (), None, daily=True)(NOON, True)
    assert made == []


def test_what_a_process_of_its_own_says_is_told_in_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    snapshot.after_looks(tmp_path, None, ["monitor.watch=[]"], None, daily=True)(NOON, False)
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert said[0].startswith("monitor: snapshot: error: ")
    assert str(tmp_path) in said[0]
