"""Run a step's core function once: cached by key, resumable, atomic, with errors a user can read.

A store is a folder: `<step>/<key>/` holds a finished result with its `done.json`, `<step>/<key>.tmp/` one being
written, `<step>/<key>.work/` the checkpoints of a step that can resume. Without a store (a cluster, where Kubeflow
caches) the result goes straight to the artifact's path.
"""

from __future__ import annotations

import importlib
import inspect
import shutil
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from components import lifeline
from components.cache import PACKAGES, step_key
from components.declared import Step
from crossmix.artifacts import Done, Failure
from crossmix.config import Config, from_json

MARK = "crossmix> "
"""Begins the lines of a step's output that are for the user; the rest is for the log."""


def run_step(step: Step, config_json: str, inputs: Mapping[str, str], out: str, store: str) -> Path:
    """Run a step's core function, or reuse its result; the folder of the result.

    It is called as `core(config=..., **inputs, out=...)`, with an empty folder `out` that it fills; one that also
    takes `work` gets a folder that outlives a kill, `cache` one that all runs of a store share, `home` the run's own
    folder. It is imported only when it must run.

    Args:
        step: its declaration.
        inputs: folders of earlier steps, by the name of the core function's parameter.
        out: path of the KFP artifact: becomes a link into the store, or the folder itself where there is no store.
        store: the step store, or "" for none.

    Raises:
        SystemExit: the core function failed; `<store>/error.json` says how.
    """
    lifeline.watch()
    try:
        config = from_json(config_json)
        folders = {key: Path(path).resolve() for key, path in inputs.items()}
        if not store:
            extra = {"work": Path(f"{out}.work"), "home": Path(out).parent}
            return _compute(step, config, folders, extra, Path(out), "none")
        folder = Path(store) / step.name / step_key(step, config, folders)
        done = Done.found(folder)
        if done is not None:
            tell(f"{step.name:9} reused (finished {done.finished})")
        else:
            work = folder.with_name(f"{folder.name}.work")
            extra = {"work": work, "cache": Path(store) / "cache", "home": Path(store).parent}
            _compute(step, config, folders, extra, folder, folder.name)
        _record(Path(store), step.name, folder)
        return _link(folder, Path(out))
    except Exception as error:
        _fail(step.name, error, store)
        raise SystemExit(1) from None


def _compute(
    step: Step, config: Config, inputs: Mapping[str, Path], extra: Mapping[str, Path], folder: Path, key: str
) -> Path:
    tell(f"{step.name:9} running")
    started = time.perf_counter()
    module, _, function = step.core.partition(":")
    call: Callable[..., Any] = getattr(importlib.import_module(module), function)
    half = folder.with_name(f"{folder.name}.tmp")
    shutil.rmtree(half, ignore_errors=True)
    half.mkdir(parents=True)
    wanted = {key: path for key, path in extra.items() if key in inspect.signature(call).parameters}
    for path in wanted.values():
        path.mkdir(parents=True, exist_ok=True)
    call(config=config, **inputs, **wanted, out=half)
    seconds = time.perf_counter() - started
    finished = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    Done(step=step.name, key=key, seconds=round(seconds, 2), finished=finished).save(half)
    shutil.rmtree(folder, ignore_errors=True)
    half.rename(folder)
    shutil.rmtree(extra["work"], ignore_errors=True)
    figures = step.measured(folder)
    shown = [f"{name.replace('_', ' ')} {_short(figures[name])}" for name in step.shown if name in figures]
    tell(", ".join([f"{step.name:9} {seconds:.1f} s", *shown]))
    return folder


def _short(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def _link(folder: Path, out: Path) -> Path:
    out.parent.mkdir(parents=True, exist_ok=True)
    out.unlink(missing_ok=True)
    out.symlink_to(folder.resolve(), target_is_directory=True)
    return folder


def _record(store: Path, name: str, folder: Path) -> None:
    """Say which folder this run uses for the step: `<store>/current/<step>` links to it."""
    link = store / "current" / name
    link.parent.mkdir(exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(Path("..") / folder.relative_to(store), target_is_directory=True)


def _fail(name: str, error: Exception, store: str) -> None:
    """A `ValueError` of our own is a sentence for the user; anything else is a fault, its traceback for the log."""
    ours = isinstance(error, ValueError) and type(error).__module__.partition(".")[0] in PACKAGES
    message = str(error) if ours else f"{type(error).__name__}: {error}"
    if not ours:
        traceback.print_exc()
    print(f"{name}: {message}", file=sys.stderr, flush=True)
    if store:
        Failure(step=name, kind="input" if ours else "fault", message=message).save(Path(store))


def tell(line: str) -> None:
    """A line for the user."""
    print(f"{MARK}{line}", flush=True)
