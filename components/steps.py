"""Run a step's core function once: cached by key, resumable, atomic, with errors a user can read.

A store (`components.store`) keeps finished steps by their key, and checkpoints of a step that can resume. Without one
(a cluster where Kubeflow caches) the result goes straight to the artifact's path.
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

from components import lifeline, pod, store
from components.cache import PACKAGES, step_key
from components.declared import Step
from crossmix.artifacts import Done, Failure, Stored
from crossmix.config import Config

MARK = "crossmix> "
"""Begins the lines of a step's output that are for the user; the rest is for the log."""


def run_step(step: Step, config_json: str, inputs: Mapping[str, str], out: str, kept: str) -> Path:
    """Run a step's core function, or reuse its result; the folder of the result.

    It is called as `core(config=..., **inputs, out=...)`, with an empty folder `out` that it fills; one that also
    takes `work` gets a folder that outlives a kill, `cache` one that all runs of a store share, `home` the folder above
    the store. It is imported only when it must run.

    Args:
        step: its declaration.
        config_json: the settings that it declares; what is absent has its default.
        inputs: artifacts of earlier steps, by the name of the core function's parameter.
        out: path of the KFP artifact: says where in the store the result is, or is the result where there is no store.
        kept: the step store, or "" for none.

    Raises:
        SystemExit: the core function failed; `<store>/error.json` says how.
    """
    lifeline.watch()
    try:
        config = pod.config_of(config_json)
        folders = {key: result(path, kept) for key, path in inputs.items()}
        if not kept:
            return _straight(step, config, folders, Path(out))
        root = store.opened(kept)
        folder = root / step.name / step_key(step, config, folders)
        done = Done.found(folder)
        if done is not None:
            tell(f"{step.name:9} reused (finished {done.finished})")
        else:
            with store.claim(folder) as claimed:
                extra = {"work": claimed.work, "cache": root / "cache", "home": root.parent}
                figures = _compute(step, config, folders, extra, claimed.half, folder.name)
                shutil.rmtree(claimed.work, ignore_errors=True)
                store.publish(claimed.half, folder)
            store.sweep(folder)
            tell(figures)
        _tell_further(step, folder)
        store.record(root, step.name, folder)
        _point(Path(out), step.name, folder)
        return folder
    except Exception as error:
        _fail(step.name, error, kept)
        raise SystemExit(1) from None


def result(path: str, kept: str) -> Path:
    """The folder that an artifact of an earlier step is, or points to in the store."""
    stored = Stored.found(Path(path))
    return Path(path).resolve() if stored is None else Path(kept).resolve() / stored.step / stored.key


def _straight(step: Step, config: Config, inputs: Mapping[str, Path], out: Path) -> Path:
    """Without a store, which Kubeflow's own cache takes the place of."""
    half, work = out.with_name(f"{out.name}.tmp"), out.with_name(f"{out.name}.work")
    shutil.rmtree(half, ignore_errors=True)
    figures = _compute(step, config, inputs, {"work": work, "home": out.parent}, half, "none")
    shutil.rmtree(out, ignore_errors=True)
    half.rename(out)
    shutil.rmtree(work, ignore_errors=True)
    tell(figures)
    _tell_further(step, out)
    return out


def _tell_further(step: Step, folder: Path) -> None:
    for line in step.told(folder) if step.told else ():
        tell(f"{'':9} {line}")


def _compute(
    step: Step, config: Config, inputs: Mapping[str, Path], extra: Mapping[str, Path], half: Path, key: str
) -> str:
    """Fill `half`; the line that tells it."""
    tell(f"{step.name:9} running")
    started = time.perf_counter()
    module, _, function = step.core.partition(":")
    call: Callable[..., Any] = getattr(importlib.import_module(module), function)
    half.mkdir(parents=True)
    wanted = {name: path for name, path in extra.items() if name in inspect.signature(call).parameters}
    for path in wanted.values():
        path.mkdir(parents=True, exist_ok=True)
    call(config=config, **inputs, **wanted, out=half)
    seconds = time.perf_counter() - started
    finished = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    Done(step=step.name, key=key, seconds=round(seconds, 2), finished=finished).save(half)
    figures = step.measured(half)
    shown = [f"{name.replace('_', ' ')} {_short(figures[name])}" for name in step.shown if name in figures]
    return ", ".join([f"{step.name:9} {seconds:.1f} s", *shown])


def _short(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def _point(out: Path, name: str, folder: Path) -> None:
    """Let the artifact say where in the store the result is: Kubeflow copies what lies in it from pod to pod."""
    if out.is_dir() and not out.is_symlink():
        shutil.rmtree(out)
    out.unlink(missing_ok=True)
    out.mkdir(parents=True)
    Stored(step=name, key=folder.name).save(out)


def _fail(name: str, error: Exception, kept: str) -> None:
    """A `ValueError` of our own is a sentence for the user; anything else is a fault, its traceback for the log."""
    ours = isinstance(error, ValueError) and type(error).__module__.partition(".")[0] in PACKAGES
    message = str(error) if ours else f"{type(error).__name__}: {error}"
    if not ours:
        traceback.print_exception(error)
    print(f"{name}: {message}", file=sys.stderr, flush=True)
    if kept:
        try:
            Failure(step=name, kind="input" if ours else "fault", message=message).save(Path(kept))
        except OSError as unwritten:  # the store itself may be what failed
            print(f"{name}: {Failure.FILE} cannot be written: {unwritten}", file=sys.stderr, flush=True)


def tell(line: str) -> None:
    """A line for the user."""
    print(f"{MARK}{line}", flush=True)
