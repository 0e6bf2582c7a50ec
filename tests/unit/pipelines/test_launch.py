"""The launcher of this machine: one start per run id, whatever became of the process that asked."""

from __future__ import annotations

import fcntl
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from crossmix.artifacts import ReadaptResult, RunRecord
from monitoring.launcher import LauncherAwayError, LaunchRefusedError
from pipelines.launch import LocalLauncher

SPEC = {"campaign_id": "spring", "at": "2026-01-05T00:00:00+00:00", "alert": {"id": "0f"}}
SCRIPT = "import sys; open(sys.argv[1], 'a').write('x')"
RESULT = ReadaptResult(run="run-1", outcome="adapted", reason="", status=0, version=2, deployed="waits", steps={})


@pytest.fixture
def out(tmp_path: Path) -> Path:
    RunRecord(run_id="r", config={}, steps={}).save(tmp_path)
    return tmp_path


def quick(out: Path) -> LocalLauncher:
    """Its process notes that it began, and ends at once."""

    def command(run_id: str, spec: Mapping[str, Any]) -> Sequence[str]:
        return [sys.executable, "-c", SCRIPT, str(out / f"{run_id}.begun")]

    return LocalLauncher(out, command=command)


def ended(launcher: LocalLauncher) -> None:
    for child in launcher._children:
        child.wait(300)


def test_a_run_starts_once_however_often_and_by_whomever_it_is_asked(out: Path) -> None:
    launcher = quick(out)
    assert launcher.state("run-1") == "unknown"
    names = {launcher.start("run-1", SPEC) for _ in range(3)}
    ended(launcher)
    # Another process asks again after the first one's end, as after a restart.
    names.add(quick(out).start("run-1", SPEC))
    assert names == {"run-1"}
    assert (out / "run-1.begun").read_text() == "x"
    launcher.start("run-2", SPEC)
    ended(launcher)
    assert (out / "run-2.begun").read_text() == "x"


def test_its_state_is_that_of_its_process_and_then_of_its_result(out: Path) -> None:
    launcher = quick(out)
    launcher.start("run-1", SPEC)
    ended(launcher)
    assert launcher.state("run-1") == "failed"  # it ended and left no result
    RESULT.save(out / "readapt" / "run-1")
    assert launcher.state("run-1") == quick(out).state("run-1") == "succeeded"


def test_a_run_whose_process_lives_is_running_and_is_not_started_again(out: Path) -> None:
    """Its lock says so, also where the starter died before it noted the start."""
    launcher = quick(out)
    folder = out / "readapt" / "run-1"
    folder.mkdir(parents=True)
    with (folder / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert launcher.state("run-1") == "running"
        assert launcher.start("run-1", SPEC) == "run-1"
    assert not (out / "run-1.begun").exists()
    assert launcher.state("run-1") == "unknown"


def test_what_will_never_start_is_refused_and_a_folder_that_fails_is_away(out: Path, tmp_path: Path) -> None:
    launcher = quick(out)
    with pytest.raises(LaunchRefusedError, match="letters, digits"):
        launcher.start("../other", SPEC)
    with pytest.raises(LaunchRefusedError, match="holds no finished run"):
        LocalLauncher(tmp_path / "none").start("run-1", SPEC)
    (out / "readapt").write_text("a file")
    with pytest.raises(LauncherAwayError):
        launcher.start("run-1", SPEC)


def test_the_command_names_run_time_and_database(out: Path) -> None:
    launcher = LocalLauncher(out, ("--database", "sqlite:///x.db"))
    command = list(launcher.command("run-1", SPEC))
    assert command[1:4] == ["-m", "pipelines.cli.main", "readapt"]
    assert command[command.index("--run") + 1] == "run-1"
    assert command[command.index("--at") + 1] == SPEC["at"]
    assert command[-2:] == ["--database", "sqlite:///x.db"]
    assert "--at" not in launcher.command("run-1", {"campaign_id": "*"})


def test_who_asks_for_it_leaves_no_process(out: Path) -> None:
    launcher = LocalLauncher(out, command=lambda *_: [sys.executable, "-I", "-S", "-c", "import time; time.sleep(900)"])
    launcher.start("run-1", SPEC)
    (child,) = launcher._children
    assert launcher.state("run-1") == "running"
    launcher.end()
    assert child.returncode == -signal.SIGTERM
    assert launcher.state("run-1") == "failed"
