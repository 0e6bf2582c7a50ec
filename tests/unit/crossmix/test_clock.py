"""Clocks that a driver moves."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from crossmix.clock import EARLIEST, LATEST, ClockError, FileClock, MemoryClock, clock_of, wall

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


def test_the_wall_is_the_machines() -> None:
    assert clock_of(None) is wall
    assert abs(wall() - datetime.now(UTC)) < timedelta(minutes=1)


def test_a_driver_moves_a_clock_both_ways() -> None:
    clock = MemoryClock(NOON)
    assert clock.advance(timedelta(hours=3)) == clock() == NOON + timedelta(hours=3)
    clock.set(NOON - timedelta(days=365))
    assert clock() == NOON - timedelta(days=365)


def test_a_file_is_followed_and_half_a_line_is_not(tmp_path: Path) -> None:
    file = tmp_path / "clock"
    file.write_text("2026-01-05T13:00:00+01:00\n")
    clock = clock_of(file)
    assert isinstance(clock, FileClock)
    assert clock() == NOON
    for number, (text, moment) in enumerate(
        [
            ("2026-01-06T12:00:00Z", NOON + timedelta(days=1)),
            ("2026-01-", NOON + timedelta(days=1)),
            ("", NOON + timedelta(days=1)),
            ("2025-01-05T12:00:00Z", NOON - timedelta(days=365)),
        ]
    ):
        file.write_text(text)
        os.utime(file, ns=(number, number))
        assert clock() == moment, text
        assert (clock.trouble is None) == text.endswith("Z"), text
    file.unlink()
    assert clock() == NOON - timedelta(days=365)
    assert str(clock.trouble).startswith(f"clock {file}: no time in it")
    assert str(clock.trouble).endswith("2025-01-05T12:00:00+00:00 stands")


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "1999-12-31T23:59:59Z"])
def test_a_clock_stays_off_the_calendars_ends(tmp_path: Path, text: str) -> None:
    """A zone would lead beyond them, and so would the end of a cycle."""
    file = tmp_path / "clock"
    file.write_text(text)
    with pytest.raises(ClockError, match=re.escape(f"clock {file}: {text!r}; write a time from 2000 to 2200")):
        FileClock(file)
    for moment in (EARLIEST, LATEST):
        file.write_text(moment.isoformat())
        assert FileClock(file)() == moment


@pytest.mark.parametrize("text", [None, "soon", "2026-01-05T12:00:00"])
def test_a_clock_without_a_time_is_refused_at_the_start(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "clock"
    if text is not None:
        file.write_text(text)
    with pytest.raises(ClockError, match=f"{file}.*(write one, as|add Z for UTC)"):
        FileClock(file)
