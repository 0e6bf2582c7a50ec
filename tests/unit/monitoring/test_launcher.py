"""The contract of launchers: one start per run id, whatever became of the answers. Any launcher must pass it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from crossmix.artifacts import ReadaptResult, RunRecord
from monitoring.launcher import Launcher, LauncherAwayError
from pipelines.launch import LocalLauncher
from tests.support.launchers import FileLauncher, MemoryLauncher
from tests.support.launching import launching

SPEC = {"campaign_id": "spring", "at": "2026-01-05T00:00:00+00:00", "alert": {"id": "0f"}}


class Bench:
    """A launcher, and what a test does to it."""

    def __init__(self, launcher: Launcher, begun: Callable[[], int]) -> None:
        self.launcher, self.begun = launcher, begun
        """How many runs it has really begun."""
        self.away: Callable[[bool], None] | None = None
        self.cut: Callable[[], None] | None = None
        self.close: Callable[[], None] = lambda: None


def _memory(folder: Path) -> Bench:
    launcher = MemoryLauncher()
    bench = Bench(launcher, lambda: launcher.begun)
    bench.away = lambda away: setattr(launcher, "away", away)
    bench.cut = lambda: setattr(launcher, "cut", 1)
    return bench


def _file(folder: Path) -> Bench:
    launcher = FileLauncher(folder / "runs")
    return Bench(launcher, lambda: len(launcher.begun()))


def _local(folder: Path) -> Bench:
    """Its command notes that it began, and leaves a result."""
    RunRecord(run_id="r", config={}, steps={}).save(folder)
    (folder / "result").mkdir()
    values: dict[str, Any] = {"outcome": "adapted", "reason": "", "status": 0, "version": 2, "deployed": "waits"}
    ReadaptResult(run="run-1", steps={}, **values).save(folder / "result")
    script = "import shutil, sys; open(sys.argv[1], 'a').write('x'); shutil.copy(*sys.argv[2:])"

    def command(run_id: str, spec: Mapping[str, Any]) -> Sequence[str]:
        result = [folder / name / ReadaptResult.FILE for name in ("result", f"readapt/{run_id}")]
        return [sys.executable, "-I", "-S", "-c", script, *map(str, [folder / f"{run_id}.begun", *result])]

    launcher = LocalLauncher(folder, command=command)

    def begun() -> int:
        for child in launcher._children:
            child.wait(300)
        return sum(len(file.read_text()) for file in folder.glob("*.begun"))

    return Bench(launcher, begun)


def _kubeflow(folder: Path) -> Bench:
    """Through kfp's own client, against an API in memory."""
    made = launching(folder)
    bench = Bench(made.launcher, lambda: len(made.api.kept["runs"]))
    bench.away = lambda away: setattr(made.api, "away", away)
    bench.cut = lambda: made.api.cut.update(runs=1)
    bench.close = made.close
    return bench


BENCHES: dict[str, Callable[[Path], Bench]] = {"memory": _memory, "file": _file, "local": _local, "kubeflow": _kubeflow}
"""A launcher more is one line more."""


@pytest.fixture(params=BENCHES)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    made = BENCHES[request.param](tmp_path)
    yield made
    made.begun()  # whatever was started has ended
    made.close()


def test_a_run_starts_once_however_often_it_is_asked(bench: Bench) -> None:
    names = {bench.launcher.start("run-1", SPEC) for _ in range(3)}
    assert len(names) == 1
    assert bench.begun() == 1
    assert bench.launcher.start("run-2", SPEC) not in names
    assert bench.begun() == 2


def test_its_state_is_known_by_the_runs_own_id(bench: Bench) -> None:
    assert bench.launcher.state("run-1") == "unknown"
    bench.launcher.start("run-1", SPEC)
    assert bench.launcher.state("run-1") in ("running", "succeeded")


def test_a_launcher_that_is_away_says_so_and_starts_nothing(bench: Bench) -> None:
    if bench.away is None:
        pytest.skip("this launcher is never away")
    bench.away(True)
    with pytest.raises(LauncherAwayError):
        bench.launcher.start("run-1", SPEC)
    with pytest.raises(LauncherAwayError):
        bench.launcher.state("run-1")
    bench.away(False)
    assert bench.launcher.state("run-1") == "unknown"
    assert bench.begun() == 0


def test_an_answer_that_was_cut_off_is_made_good_by_asking_again(bench: Bench) -> None:
    if bench.cut is None:
        pytest.skip("this launcher's answers cannot be cut off")
    bench.cut()
    with pytest.raises(LauncherAwayError):
        bench.launcher.start("run-1", SPEC)
    bench.launcher.start("run-1", SPEC)
    assert bench.begun() == 1
