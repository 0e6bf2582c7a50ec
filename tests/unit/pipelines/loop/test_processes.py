"""Processes of a simulation: told when they end before their time, and gone at its end, also after an error."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipelines.loop.processes import Household, ProcessError, free_port


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def broken(folder: Path, pids: list[int]) -> None:
    with Household(folder) as household:
        for name in ("a", "b"):
            address = ("--bind", "127.0.0.1", str(free_port()))
            pids.append(household.start(name, *address, module="http.server").pid)
        household.check()
        assert all(alive(pid) for pid in pids)
        raise RuntimeError("the market broke")


def test_an_error_leaves_no_process_behind(tmp_path: Path) -> None:
    pids: list[int] = []
    with pytest.raises(RuntimeError, match="the market broke"):
        broken(tmp_path / "logs", pids)
    assert [alive(pid) for pid in pids] == [False, False]


def test_one_that_ends_is_told_with_its_last_words(tmp_path: Path) -> None:
    with Household(tmp_path) as household:
        process = household.start("a", "--nonsense", module="http.server")
        process.popen.wait()
        with pytest.raises(ProcessError, match=r"a: ended with status 2 \(.*unrecognized arguments: --nonsense\)"):
            process.answers("http://127.0.0.1:9")


def test_one_that_talks_answers_line_by_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "echoing.py").write_text(
        "import json, sys, time\n"
        "while time.process_time() < 0.1:  # ten ticks of the kernel's clock, which tells whole ones\n    pass\n"
        "for n, line in enumerate(sys.stdin):\n    print(json.dumps([n, line.strip()]), flush=True)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    with Household(tmp_path / "logs") as household:
        process = household.start("echo", module="echoing", talks=True)
        assert [process.ask("a"), process.ask("b c")] == [[0, "a"], [1, "b c"]]
        assert process.cpu_seconds() > 0
        process.popen.terminate()
        process.popen.wait()
        with pytest.raises(ProcessError, match="echo: ended with status -15"):
            process.ask("d")
