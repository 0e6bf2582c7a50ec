"""What a command says instead of a traceback."""

from __future__ import annotations

import pytest
import typer

from crossmix.config import ConfigError
from pipelines.cli.readable import GO_ON, readable_errors
from pipelines.local import StepError


@pytest.mark.parametrize(
    ("error", "line", "status"),
    [
        (ConfigError("monitor: no such folder"), "error: monitor: no such folder", 2),
        (StepError("train: it ended", 1), "error: train: it ended", 1),
        (StepError("gate: it failed", 3), "error: gate: it failed", 3),
        (KeyboardInterrupt(), f"error: {GO_ON}", 130),
    ],
)
def test_what_the_user_can_mend_is_a_line(
    error: BaseException, line: str, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit) as ended, readable_errors():
        raise error
    assert (ended.value.exit_code, capsys.readouterr().err) == (status, f"{line}\n")


@pytest.mark.parametrize("error", [ValueError("numpy's"), RuntimeError("a fault"), typer.Exit(3)])
def test_what_is_not_ours_passes(error: Exception) -> None:
    with pytest.raises(type(error)), readable_errors():
        raise error
