"""The campaigns' file for a start without the database: when it is written, and which snapshot is in it."""

from __future__ import annotations

import json
import logging
import threading
from pathlib import Path
from typing import Any

import pytest

from serving.live.kept import FEW, MOST_OFTEN, Kept


class Holds:
    """A snapshot of so many campaigns."""

    def __init__(self, many: int, revision: int = 0) -> None:
        self.campaigns = dict.fromkeys(map(str, range(many)))
        self.revision = revision


def plain(snapshot: Holds) -> dict[str, Any]:
    return {"campaigns": len(snapshot.campaigns), "revision": snapshot.revision}


def test_the_snapshot_that_is_kept_is_the_newest(tmp_path: Path) -> None:
    """Another one may come while this waits for its turn: nobody needs the older one any more."""
    kept: Kept[Holds] = Kept(tmp_path / "folder" / "campaigns.json")
    coming = [Holds(1, 5), Holds(1, 5), Holds(2, 6)]
    last = coming[-1]
    assert kept.keep(lambda: coming.pop(0), kept.quick, plain) is last
    assert json.loads(kept.file.read_text()) == {"campaigns": 2, "revision": 6}
    # Once it is there it is not written again.
    kept.file.unlink()
    assert kept.keep(lambda: last, kept.quick, plain) is None
    assert not kept.file.exists()


def test_what_is_of_the_file_itself_or_not_due_is_not_written(tmp_path: Path) -> None:
    kept: Kept[Holds] = Kept(tmp_path / "campaigns.json")
    asked: list[int] = []

    def due(snapshot: Holds) -> bool:
        asked.append(snapshot.revision)
        return kept.quick(snapshot)

    assert kept.keep(lambda: Holds(1, -1), due, plain) is None
    assert asked == []
    assert kept.keep(lambda: Holds(FEW + 1, 3), due, plain) is None
    assert asked == [3]
    # Not due any more when its turn has come.
    coming = [Holds(1, 4), Holds(1, 4), Holds(FEW + 1, 5)]
    assert kept.keep(lambda: coming.pop(0), due, plain) is None
    assert asked == [3, 4, 5]
    assert not kept.file.exists()
    # The loop writes it then.
    many = Holds(FEW + 1, 5)
    assert kept.keep(lambda: many, kept.due, plain) is many
    assert json.loads(kept.file.read_text()) == {"campaigns": FEW + 1, "revision": 5}


def test_one_writes_it_at_a_time(tmp_path: Path) -> None:
    kept: Kept[Holds] = Kept(tmp_path / "campaigns.json")
    first, second, done = Holds(1, 1), Holds(2, 2), []

    def of_second(snapshot: Holds) -> dict[str, Any]:
        done.append("second")
        return plain(snapshot)

    other = threading.Thread(target=lambda: kept.keep(lambda: second, kept.unlike, of_second))

    def of_first(snapshot: Holds) -> dict[str, Any]:
        other.start()
        other.join(0.2)  # it would be through by then, if it did not wait
        done.append("first")
        return plain(snapshot)

    assert kept.keep(lambda: first, kept.unlike, of_first) is first
    other.join(60)
    assert not other.is_alive()
    assert done == ["first", "second"]
    assert json.loads(kept.file.read_text())["revision"] == 2


def test_a_file_that_cannot_be_written_is_logged_and_waits_for_a_change(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "a file"
    folder.write_text("")
    kept: Kept[Holds] = Kept(folder / "campaigns.json")
    one = Holds(1, 1)
    with caplog.at_level(logging.WARNING, "serving.live.kept"):
        assert kept.keep(lambda: one, kept.due, plain) is None
        assert kept.keep(lambda: one, kept.due, plain) is None
    (record,) = caplog.records
    assert record.getMessage().startswith(f"{kept.file}: cannot be kept for a restart (")
    folder.unlink()
    other = Holds(1, 2)
    assert kept.keep(lambda: other, kept.due, plain) is other


def test_few_campaigns_are_kept_at_every_change_and_many_by_the_loop(tmp_path: Path) -> None:
    now = [0.0]
    kept = Kept(tmp_path / "campaigns.json", lambda: now[0])

    def content() -> dict[str, int]:
        now[0] += 0.5
        return {"campaigns": 1}

    few, many = Holds(FEW), Holds(FEW + 1)
    assert (kept.quick(few), kept.due(few), kept.quick(many), kept.due(many)) == (True, True, False, True)
    kept.write(many, content)
    assert kept.file.read_text() == '{"campaigns": 1}\n'
    assert kept.file.stat().st_mode & 0o077 == 0
    assert (kept.unlike(many), kept.due(many)) == (False, False)
    other = Holds(FEW + 1)
    assert (kept.unlike(other), kept.due(other), kept.due(few)) == (True, False, True)
    now[0] += MOST_OFTEN * 0.5
    assert kept.due(other)


def test_a_full_disk_is_tried_again_at_the_next_change(tmp_path: Path) -> None:
    folder = tmp_path / "a file"
    folder.write_text("")
    kept, one = Kept(folder / "campaigns.json"), Holds(1)
    with pytest.raises(OSError, match="a file"):
        kept.write(one, dict)
    assert (kept.due(one), kept.due(Holds(1))) == (False, True)
