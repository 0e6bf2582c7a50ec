"""The `crossmix` command: quick help, one clear line for every mistake, nothing half-written."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from crossmix.artifacts import Failure
from crossmix.clock import wall
from crossmix.config import Config, ConfigError, documented, load
from pipelines import console, local
from pipelines.cli import recommend as answer
from pipelines.cli.main import app
from pipelines.cli.serve import clock_for


def invoke(*arguments: str) -> tuple[int, str]:
    """Exit status, and what was printed on stdout and stderr."""
    result = CliRunner().invoke(app, list(arguments))
    return result.exit_code, result.output


def test_help_starts_quickly() -> None:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-m", "pipelines.cli.main", "--help"], check=True, capture_output=True)
    assert time.perf_counter() - started < 30  # well under 1 s on an idle machine; the imports are tested apart


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--set", "train.sede=1"], "train.sede: unknown config key; did you mean train.seed?"),
        (["--set", "train.seed"], "write it as a.b=c"),
        (["--set", "window=-1"], "window: -1 does not fit"),
        (["--preset", "huge"], "preset: 'huge' is unknown; use one of paper, laptop"),
        (["--source", "spreadsheet"], "data.source: 'spreadsheet' is unknown; use one of criteo, demo"),
        (["--source", "criteo"], "data.path: source 'criteo' reads a file; pass --data FILE"),
        (["--source", "criteo", "--data", "nowhere.csv"], "--data nowhere.csv: does not exist; name the log's file"),
        (["--source", "criteo", "--data", "."], "--data .: is no file; name the log's file"),
        (["--source", "criteo", "--data", "s3://a/b"], "data.path: s3://a/b is in S3, and source 'criteo' reads"),
        (["--data", "log.csv"], "source 'demo' generates its log and reads no file; add --source criteo"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(arguments: list[str], message: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    status, output = invoke("run", "--out", str(out), *arguments)
    assert status == 2
    assert output.startswith("error: ")
    assert message in output
    assert output.count("\n") == 1
    assert not out.exists()


@pytest.mark.parametrize("arguments", [(), ("--accept-quarantine",)])
def test_the_quarantine_is_accepted_where_that_is_said(
    arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    accepted: list[bool] = []

    def asked(config: Config, out: Path) -> local.Outcome:
        accepted.append(config.data.accept_quarantine)
        raise ConfigError(f"{out}: enough")

    monkeypatch.setattr(local, "run", asked)
    assert invoke("run", "--out", str(tmp_path), *arguments)[0] == 2
    assert accepted == [bool(arguments)]


def test_a_clock_that_holds_no_time_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "clock"
    with pytest.raises(ConfigError, match=r"^serving\.clock .*clock: no time in it .*; write one, as 2026-01-05T09"):
        clock_for(load("laptop", [f"serving.clock={file}"]))
    file.write_text("2026-01-05T09:00:00+01:00\n")
    assert clock_for(load("laptop", [f"serving.clock={file}"]))().isoformat() == "2026-01-05T08:00:00+00:00"
    assert clock_for(load("laptop")) is wall


def test_an_unwritable_out_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    for out in (file, file / "below"):
        status, output = invoke("run", "--out", str(out))
        assert (status, output.count("\n")) == (2, 1)
        assert f"{file} is a file; name a folder" in output
    status, output = invoke("run", "--out", "/proc/crossmix")  # not even root may write there
    assert status == 2
    assert "cannot write in /proc" in output


def test_config_prints_every_key() -> None:
    status, output = invoke("config", "--preset", "paper", "--set", "train.seed=3")
    assert status == 0
    assert len(output.splitlines()) == len(documented(load("paper")))
    assert "train.seed=3" in output.splitlines()
    assert "train.pathwise.hidden=[512, 512]" in output.splitlines()


def test_config_can_be_given_back() -> None:
    _, output = invoke("config", "--preset", "laptop")
    assert load("paper", output.splitlines()) == load("laptop")


def test_version_is_the_installed_one() -> None:
    assert invoke("version") == (0, "0.1.0\n")


@pytest.mark.parametrize("command", [["report"], ["allocate"]])
def test_a_folder_without_a_run_is_refused(command: list[str], tmp_path: Path) -> None:
    status, output = invoke(*command, str(tmp_path))
    assert status == 2
    assert "holds no finished run" in output


def test_allocate_needs_something_to_ask() -> None:
    status, output = invoke("allocate", "--bundle", "somewhere")
    assert status == 2
    assert "name the folder of a run, or both --bundle and --features" in output


def test_limits_as_typed() -> None:
    change = answer.change(["search:0.1:0.4", "a:b::0.2", "video:0.3:"], ["tv"])
    assert change.minimum == {"search": 0.1, "video": 0.3}
    assert change.maximum == {"search": 0.4, "a:b": 0.2}
    assert change.freeze == {"tv"}
    for wrong in ("search", "search:0.1", "search:low:high"):
        with pytest.raises(ConfigError, match="write it as platform:min:max"):
            answer.change([wrong])


def test_console_passes_marked_lines_and_little_progress(tmp_path: Path) -> None:
    import io

    log, screen = io.StringIO(), io.StringIO()
    sink = console.Console(log, screen)
    sink.write("    [KFP Executor INFO]: Looking for component `train`\n    crossmix> train     run")
    sink.write("ning\n    train:  40%|####      | 4/10 [00:01<00:02]\n----\n    crossmix> train     3.0 s\n")
    assert screen.getvalue() == "train     running\ntrain     3.0 s\n"  # progress waits for its turn off a terminal
    assert "Looking for component" in log.getvalue()
    sink.live = True
    sink.write("train:  50%|#####     | 5/10 [00:01<00:02]\ncrossmix> done\n")
    assert "\r  train:  50%" in screen.getvalue()


def test_a_step_that_was_killed_is_told_from_one_that_failed(tmp_path: Path) -> None:
    killed = local._explain(tmp_path, tmp_path)
    assert "run the same command again to go on" in str(killed)
    assert killed.status == local.FAULT
    Failure(step="ingest", kind="input", message="price: -1; mend it").save(tmp_path)
    told = local._explain(tmp_path, tmp_path)
    assert str(told) == "ingest: price: -1; mend it"
    assert told.status == local.BAD_INPUT
