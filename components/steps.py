"""Run a step's core function once: cached by key, resumable, atomic, with errors a user can read.

A store is a folder: `<step>/<key>/` holds a finished result with its `done.json`, `<step>/<key>.tmp/` one being
written, `<step>/<key>.work/` the checkpoints of a step that can resume. Without a store (a cluster, where Kubeflow
caches) the result goes straight to the artifact's path.
"""

from __future__ import annotations

import importlib
import inspect
import json
import shutil
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from components import lifeline
from components.cache import step_key
from crossmix.config import Config, from_json

MARK = "crossmix> "
"""Begins the lines of a step's output that are for the user; the rest is for the log."""


def run_step(name: str, config_json: str, inputs: Mapping[str, str], out: str, store: str, core: str) -> Path:
    """Run `core` (`module:function`), or reuse its result; the folder of the result.

    `core` is called as `core(config=..., **inputs, out=...)`, with an empty folder `out` that it fills; one that also
    takes `work` gets a folder that outlives a kill, `cache` one that all runs of a store share, `home` the run's own
    folder. It is imported only when it must run.

    Args:
        name: the step, a key of `components.cache.SECTIONS`.
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
            return _compute(name, core, config, folders, extra, Path(out), "none")
        folder = Path(store) / name / step_key(name, config, folders, core)
        if (folder / "done.json").is_file():
            done = json.loads((folder / "done.json").read_text())
            tell(f"{name:9} reused (finished {done['finished']})")
        else:
            work = folder.with_name(f"{folder.name}.work")
            extra = {"work": work, "cache": Path(store) / "cache", "home": Path(store).parent}
            _compute(name, core, config, folders, extra, folder, folder.name)
        _record(Path(store), name, folder)
        return _link(folder, Path(out))
    except Exception as error:
        _fail(name, error, store)
        raise SystemExit(1) from None


def _compute(
    name: str,
    core: str,
    config: Config,
    inputs: Mapping[str, Path],
    extra: Mapping[str, Path],
    folder: Path,
    key: str,
) -> Path:
    tell(f"{name:9} running")
    started = time.perf_counter()
    module, _, function = core.partition(":")
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
    done = {"step": name, "key": key, "seconds": round(seconds, 2), "finished": finished}
    (half / "done.json").write_text(json.dumps(done, indent=1))
    shutil.rmtree(folder, ignore_errors=True)
    half.rename(folder)
    shutil.rmtree(extra["work"], ignore_errors=True)
    tell(f"{name:9} {seconds:.1f} s")
    return folder


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
    ours = isinstance(error, ValueError) and type(error).__module__.partition(".")[0] in {"crossmix", "feature_repo"}
    message = str(error) if ours else f"{type(error).__name__}: {error}"
    if not ours:
        traceback.print_exc()
    print(f"{name}: {message}", file=sys.stderr, flush=True)
    if store:
        report = {"step": name, "kind": "input" if ours else "fault", "message": message}
        (Path(store) / "error.json").write_text(json.dumps(report))


def tell(line: str) -> None:
    """A line for the user."""
    print(f"{MARK}{line}", flush=True)


def read(folder: Path, name: str) -> dict[str, Any]:
    """A JSON report of a step's folder."""
    loaded: dict[str, Any] = json.loads((folder / name).read_text())
    return loaded
