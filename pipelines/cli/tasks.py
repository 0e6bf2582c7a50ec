"""Which task a run's folder is of, for commands that are for one: another one's is refused with the command for it."""

from __future__ import annotations

import json
from pathlib import Path

from crossmix.bundle import KIND_OF_TASK
from crossmix.config import ConfigError
from pipelines.local import run_config

COMMANDS = {
    "split": "crossmix allocate {out}` or `crossmix whatif {out}",
    "journeys": "crossmix journeys simulate {out}` or `crossmix serve {out}",
    "creators": "crossmix plan {out} --brief brief.yaml",
}
"""What answers from a run, by its task."""


def check_task(out: Path, wanted: str, command: str) -> None:
    """Raise `ConfigError` unless the run in `out` is of a task; raises as `run_config`.

    Args:
        command: that asks, as `crossmix plan`.
    """
    found = str(run_config(out).get("task", "split"))
    if found == wanted:
        return
    kind = KIND_OF_TASK.get(found, found)
    use = f"; use `{COMMANDS[found].format(out=out)}`" if found in COMMANDS else ""
    raise ConfigError(
        f"{out}: holds a run of task {found!r}, whose bundle is of kind {kind!r}; `{command}` is for one of task "
        f"{wanted!r} and kind {KIND_OF_TASK[wanted]!r}{use}"
    )


def is_of(bundle: Path, task: str) -> bool:
    """Whether a bundle's folder is there and names the kind of a task, or cannot be read; nothing is verified."""
    if not bundle.is_dir():
        return False
    try:
        named = json.loads((bundle / "manifest.json").read_text()).get("kind", "split")
    except (OSError, ValueError, AttributeError):
        return True  # whoever loads it says what is wrong with it
    return bool(named == KIND_OF_TASK[task])
