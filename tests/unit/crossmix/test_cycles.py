"""Cycles as calendar days of a time zone, and of a fixed length."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from crossmix.cycles import Cycles, ZoneError, zone

HOUR = timedelta(hours=1)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def test_days_have_23_or_25_hours_when_the_clocks_change() -> None:
    spring = Cycles(at("2026-03-28T00:00+01:00"), 24.0, "Europe/Berlin")
    assert [spring.length(cycle) / HOUR for cycle in range(3)] == [24, 23, 24]
    assert spring.begins(2) == at("2026-03-30T00:00+02:00")
    autumn = Cycles(at("2026-10-24T00:00+02:00"), 24.0, "Europe/Berlin")
    assert [autumn.length(cycle) / HOUR for cycle in range(3)] == [24, 25, 24]
    assert [autumn.part(cycle) for cycle in range(3)] == [1, 1, 1]


def test_a_first_day_that_begins_late_has_its_part() -> None:
    cycles = Cycles(at("2026-01-05T23:33+09:00"), 24.0, "Asia/Tokyo")
    assert cycles.ends(0) == at("2026-01-06T00:00+09:00")
    assert cycles.part(0) == pytest.approx(27 / 1_440)
    assert cycles.parts(3) == pytest.approx(2 + 27 / 1_440)
    assert cycles.parts(0) == 0
    assert cycles.ends(1) == at("2026-01-07T00:00+09:00")
    assert (cycles.part(1), cycles.cycle(at("2026-01-06T00:00+09:00"))) == (1, 1)


def test_the_weekday_is_the_local_one() -> None:
    """Tokyo's Monday begins on a Sunday of UTC."""
    monday = at("2026-01-05T00:00+09:00")
    assert [Cycles(monday, 24.0, "Asia/Tokyo").weekday(cycle) for cycle in (0, 1, 6, 7)] == [0, 1, 6, 0]
    assert Cycles(monday, 24.0).weekday(0) == 6


def test_weeks_are_seven_calendar_days() -> None:
    cycles = Cycles(at("2026-03-25T12:00+01:00"), 168.0, "Europe/Berlin")
    assert cycles.ends(0) == at("2026-04-01T00:00+02:00")
    assert cycles.part(0) == pytest.approx((6.5 * 24 - 1) / (7 * 24 - 1))
    assert cycles.length(1) == timedelta(days=7)


def test_before_the_start_no_cycle_runs() -> None:
    cycles = Cycles(at("2026-01-05T23:33Z"), 24.0, "UTC")
    for moment in ("2026-01-05T23:32Z", "2026-01-05T00:01Z", "2026-01-04T12:00Z"):
        assert cycles.cycle(at(moment)) < 0
    assert cycles.cycle(at("2026-01-05T23:33Z")) == 0


@pytest.mark.parametrize(("hours", "timezone"), [(24.0, None), (6.0, "Europe/Berlin"), (36.5, "Asia/Tokyo")])
def test_other_cycles_follow_each_other(hours: float, timezone: str | None) -> None:
    cycles = Cycles(at("2026-03-28T23:33Z"), hours, timezone)
    for cycle in range(-1, 5):
        assert cycles.begins(cycle) == at("2026-03-28T23:33Z") + cycle * timedelta(hours=hours)
        assert cycles.cycle(cycles.begins(cycle)) == cycle == cycles.cycle(cycles.ends(cycle)) - 1
        assert cycles.part(cycle) == 1


@pytest.mark.parametrize("timezone", ["UTC", "Europe/Berlin", "America/St_Johns", "Asia/Kathmandu", "America/Santiago"])
@pytest.mark.parametrize("start", ["2026-01-01T00:00Z", "2026-09-05T17:11:03Z", "2026-12-31T23:59:59Z"])
@pytest.mark.parametrize("hours", [24.0, 48.0, 168.0])
def test_every_moment_lies_in_the_cycle_that_it_is_said_to_be_in(timezone: str, start: str, hours: float) -> None:
    cycles = Cycles(at(start), hours, timezone)
    for step in range(0, 500 * 24, 7):
        moment = cycles.starts + step * HOUR
        cycle = cycles.cycle(moment)
        assert cycles.begins(cycle) <= moment < cycles.ends(cycle)


def test_an_unknown_zone_is_named() -> None:
    with pytest.raises(ZoneError, match="'Mars/Olympus' is no IANA time zone; give one, as UTC or Europe/Berlin"):
        zone("Mars/Olympus")
    with pytest.raises(ZoneError):
        zone("../etc/passwd")
