"""A simulation's re-adaptations: of its run's copy, ending with the simulation, waiting for each other."""

from __future__ import annotations

from pathlib import Path

from pipelines.launch import WAIT_SECONDS
from pipelines.loop.launch import launcher


def test_the_command_is_a_child_of_the_simulation_and_waits_for_another_run(tmp_path: Path) -> None:
    made = launcher(tmp_path, "http://127.0.0.1:1")
    command = list(made.command("run-1", {"at": "2026-01-05T23:00:00+00:00", "campaign_id": "*"}))
    assert command[1:5] == ["-m", "pipelines.loop.child", "readapt", str(tmp_path)]
    given = dict(zip(command[5::2], command[6::2], strict=True))
    assert given == {
        "--run": "run-1",
        "--at": "2026-01-05T23:00:00+00:00",
        "--server": "http://127.0.0.1:1",
        "--wait": str(WAIT_SECONDS),
    }
