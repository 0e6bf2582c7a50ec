"""`crossmix monitor table` and `ui`: exit status by verdict, what is told, and Evidently's UI asked over HTTP."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from monitoring import drift
from pipelines.cli.main import app

RUNNER = CliRunner()


def write(folder: Path, name: str, seed: int, *, rows: int = 10_000, shift: float = 0.0) -> Path:
    """A table of four columns, the first shifted, and an empty one."""
    table = pd.DataFrame(np.random.default_rng(seed).standard_normal((rows, 4)), columns=list("abcd"))
    table["a"] += shift
    path = folder / name
    (table.to_csv if path.suffix == ".csv" else table.to_parquet)(path, index=False)
    return path


def ask(*words: object) -> Any:
    return RUNNER.invoke(app, ["monitor", "table", *map(str, words)])


def test_a_quiet_table_is_status_0_and_needs_no_evidently(tmp_path: Path) -> None:
    paths = write(tmp_path, "a.csv", 1), write(tmp_path, "b.parquet", 2)
    probe = (
        "import sys\nfrom pipelines.cli.main import app\ntry:\n    app()\nexcept SystemExit as end:\n"
        "    print(end.code, 'evidently' in sys.modules)"
    )
    command = [sys.executable, "-c", probe, "monitor", "table", *map(str, paths), "--html", str(tmp_path / "page.html")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["quiet: 0 of 4 columns, 10,000 rows against 10,000", "0 False"]
    assert not (tmp_path / "page.html").exists()


def test_drift_is_status_3_and_names_the_column(tmp_path: Path) -> None:
    paths = write(tmp_path, "a.csv", 3), write(tmp_path, "b.csv", 4, shift=0.3)
    plain = ask(*paths)
    assert plain.exit_code == 3
    assert plain.stdout.startswith("drift: 1 of 4 columns")
    assert [line.split()[0] for line in plain.stdout.splitlines()[2:]] == ["a"]
    found = json.loads(ask(*paths, "--json").stdout)
    assert (found["verdict"], found["drifted"]) == ("drift", ["a"])
    assert ask(*paths, "--effect", "0.5", "--least", "100").exit_code == 0


def test_too_few_rows_are_status_2_and_left_out_columns_are_told(tmp_path: Path) -> None:
    short = write(tmp_path, "b.csv", 6, rows=1_000, shift=0.3)
    pd.read_csv(short).assign(d=np.nan, new=1).to_csv(short, index=False)
    answer = ask(write(tmp_path, "a.csv", 5, rows=1_000), short)
    assert answer.exit_code == 2
    lines = answer.stdout.splitlines()
    assert lines[0].startswith("insufficient data: 0 of 3 columns")
    assert "insufficient data: a, b, c: rows are worth as few as" in lines[1]
    assert lines[2:] == ["left out, not in the reference: new", "left out, empty in the current table: d"]


def test_columns_that_persist_are_told(tmp_path: Path) -> None:
    paths = []
    for seed in (12, 13):
        walk = np.random.default_rng(seed).standard_normal(10_000).cumsum()
        paths.append(tmp_path / f"{seed}.parquet")
        pd.DataFrame({"price": walk}).to_parquet(paths[-1])
    answer = ask(*paths)
    assert (answer.exit_code, "price: rows are worth as few as" in answer.stdout) == (2, True)
    assert "as they persist, so raw columns drift by themselves; 3,980 are needed" in answer.stdout


def test_what_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    answer = ask(tmp_path / "a.csv", tmp_path / "b.csv")
    assert (answer.exit_code, answer.stdout) == (2, "")
    assert answer.stderr == f"error: {tmp_path / 'a.csv'}: there is no such file; name a CSV or Parquet file\n"
    wrong = ask(write(tmp_path, "a.csv", 7), write(tmp_path, "b.csv", 8), "--level", "2")
    assert (wrong.exit_code, "level=2: must lie above 0 and below 1" in wrong.stderr) == (2, True)


@pytest.mark.parametrize("words", [["nowhere"], ["look", "nowhere"]])
def test_without_a_command_a_run_is_looked_at(words: list[str]) -> None:
    answer = RUNNER.invoke(app, ["monitor", *words])
    assert (answer.exit_code, answer.stderr.startswith("error: nowhere: holds no finished run")) == (2, True)


@pytest.mark.slow
def test_a_page_is_written_where_a_column_drifted(tmp_path: Path) -> None:
    paths = write(tmp_path, "a.csv", 9), write(tmp_path, "b.csv", 10, shift=0.3)
    assert ask(*paths, "--html", tmp_path / "page.html").exit_code == 3
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "Value drift for column" in page.replace("Value Drift", "Value drift")
    nowhere = ask(*paths, "--html", tmp_path / "none" / "page.html")
    assert (nowhere.exit_code, "cannot be written" in nowhere.stderr) == (2, True)


def test_a_ui_without_snapshots_or_port_is_refused(tmp_path: Path) -> None:
    answer = RUNNER.invoke(app, ["monitor", "ui", str(tmp_path)])
    assert (answer.exit_code, "no snapshot was kept there yet" in answer.stderr) == (2, True)
    drift.workspace(tmp_path).mkdir(parents=True)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        answer = RUNNER.invoke(app, ["monitor", "ui", str(tmp_path), "--port", str(port)])
    assert (answer.exit_code, f"--port {port}: cannot be bound" in answer.stderr) == (2, True)


@pytest.mark.slow
def test_the_ui_lists_what_was_kept_before_and_while_it_runs(tmp_path: Path) -> None:
    table = pd.DataFrame({"a": np.random.default_rng(11).standard_normal(100)})

    def keep(day: int) -> str:
        at = datetime(2026, 3, day, tzinfo=UTC)
        one = drift.snapshot(drift.workspace(tmp_path), table, table, name="brand", at=at, alerting=False)
        return one.path.stem

    first = keep(1)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "pipelines.cli.main", "monitor", "ui", str(tmp_path), "--port", str(port)]
    with (tmp_path / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            (project,) = _eventually(port, "/api/projects", lambda answer: len(answer) == 1)
            assert project["name"] == "brand"
            runs = f"/api/projects/{project['id']}/snapshots"
            assert {one["id"] for one in _eventually(port, runs, lambda answer: len(answer) == 1)} == {first}
            second = keep(2)
            listed = _eventually(port, runs, lambda answer: len(answer) == 2)
            assert {one["id"] for one in listed} == {first, second}
            assert _listening(port) == {"0100007F"}
        finally:
            os.kill(process.pid, signal.SIGTERM)
            process.wait(timeout=60)


def _listening(port: int) -> set[str]:
    """Addresses on which a port of this machine is listened at, as Linux tells them: 0100007F is 127.0.0.1."""
    sockets = [line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()]
    ours = [one[1].split(":") for one in sockets if one[3] == "0A"]
    return {address for address, number in ours if int(number, 16) == port}


def _eventually(port: int, path: str, there: Any) -> Any:
    """The answer once it is there; asked for at most two minutes."""
    answer: Any = None
    for _ in range(480):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as reply:
                answer = json.load(reply)
            if there(answer):
                return answer
        except OSError:  # refused, or cut off, or no answer yet
            answer = "nobody answers"
        time.sleep(0.25)
    raise AssertionError(f"{path}: {answer}")
