"""Which run is asked for: the one of that name, one of the same request that was cut off, or a new one."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest

from crossmix.artifacts import ReadaptRequest, ReadaptResult, RunRecord
from crossmix.config import ConfigError, load
from pipelines.adapting import FOLDER, asked

AT = "2026-01-20T00:00:00+00:00"
NOON = [f"readapt.at={AT}"]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    RunRecord(run_id="r", config=asdict(load("laptop")), steps={}).save(tmp_path)
    return tmp_path


def end(out: Path, request: ReadaptRequest) -> None:
    ReadaptResult(
        run=request.run, outcome="adapted", reason="", status=0, version=2, deployed=None, steps={},
    ).save(out / FOLDER / request.run)  # fmt: skip


def test_a_new_run_is_named_after_the_market_time_and_kept(out: Path) -> None:
    first = asked(out, NOON, "readapt")
    assert (first.run, first.pipeline, first.at, first.overrides) == ("20260120T000000Z", "readapt", AT, tuple(NOON))
    assert ReadaptRequest.load(out / FOLDER / first.run) == first
    end(out, first)
    second = asked(out, NOON, "readapt")
    assert second.run == "20260120T000000Z-2"
    end(out, second)
    assert asked(out, NOON, "readapt").run == "20260120T000000Z-3"


def test_one_that_was_cut_off_goes_on_where_the_request_is_the_same(out: Path) -> None:
    first = asked(out, NOON, "readapt")
    assert asked(out, NOON, "readapt") == first
    assert asked(out, NOON, "online").run == f"{first.run}-2", "another pipeline"
    assert asked(out, [*NOON, "readapt.gain=0.01"], "readapt").run == f"{first.run}-3", "other settings"
    end(out, first)
    assert asked(out, NOON, "readapt", "mine").run == "mine"
    assert asked(out, NOON, "readapt").run == "mine", "the other one is over"


def test_a_name_is_of_one_request(out: Path) -> None:
    mine = asked(out, NOON, "readapt", "mine")
    end(out, mine)
    assert asked(out, NOON, "readapt", "mine") == mine, "also once it is over"
    for changes, pipeline in (([*NOON, "readapt.gain=0.01"], "readapt"), (NOON, "online")):
        with pytest.raises(ConfigError, match="--run mine: it was asked for with other settings"):
            asked(out, changes, pipeline, "mine")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"--run '\.\./out'"):
        asked(out, NOON, "readapt", "../out")


def test_what_training_decides_is_not_changed(out: Path) -> None:
    with pytest.raises(ConfigError, match=r"--set 'train\.updates=3': a re-adaptation takes readapt"):
        asked(out, ["train.updates=3"], "readapt")
    assert not (out / FOLDER).exists()


def test_market_time_is_the_clocks_where_nobody_names_it(out: Path) -> None:
    clock = out / "clock"
    clock.write_text("2026-02-03T04:05:06+00:00")
    request = asked(out, [], "readapt", clock=str(clock))
    assert (request.at, request.run) == ("2026-02-03T04:05:06+00:00", "20260203T040506Z")
