"""Which step's result each core function is given, read from the compiled pipeline and from the components."""

from __future__ import annotations

import importlib
import inspect
import json
from collections.abc import Callable, Collection
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import yaml

from components.declared import SPLIT, Step
from pipelines.training import compile_to


class CalledError(Exception):
    """Carries what a component asked of `run_step`."""


def asked(name: str, handed: Collection[str], task: str = SPLIT) -> tuple[Step, dict[str, str], str]:
    """What a component asks of `run_step`: the step, its inputs by parameter, the store.

    Every artifact's path is the name of the component's parameter, and the store is `store`.

    Args:
        handed: the parameters that the pipeline hands artifacts over by.
        task: that the settings name.
    """

    def record(*called: Any) -> None:
        raise CalledError(*called)

    body = getattr(importlib.import_module(f"components.{name}.component"), name).python_func
    artifacts: dict[str, Any] = {
        key: SimpleNamespace(path=key)
        for key, parameter in inspect.signature(body).parameters.items()
        if key in handed or parameter.default is parameter.empty
    }
    with mock.patch("components.steps.run_step", record):
        try:
            body(**artifacts | {"config_json": json.dumps({"task": task}), "store": "store"})
        except CalledError as called:
            step, _, inputs, _, store = called.args
            return step, inputs, store
    raise AssertionError(f"components/{name}/component.py never calls run_step")


def producers(
    folder: Path, compiled: Callable[[Path], None] = compile_to, task: str = SPLIT
) -> dict[str, dict[str, str]]:
    """Step to its core function's inputs to the step that writes each, as the pipeline wires them.

    Args:
        folder: for the compiled pipeline.
        compiled: writes it.
        task: of the pipeline.
    """
    wires = wired(folder, compiled)
    return {
        name: {key: wires[name][given] for key, given in asked(name, wires[name], task)[1].items()} for name in wires
    }


def wired(folder: Path, compiled: Callable[[Path], None] = compile_to) -> dict[str, dict[str, str]]:
    """Step to its component's parameters to the step that writes each; arguments as `producers`'."""
    compiled(folder / "pipeline.yaml")
    spec: dict[str, Any] = yaml.safe_load((folder / "pipeline.yaml").read_text())
    wires: dict[str, dict[str, str]] = {}
    _walk(spec, spec["root"]["dag"]["tasks"], {}, wires)
    return wires


def _walk(spec: Any, tasks: dict[str, Any], outside: dict[str, str], wires: dict[str, dict[str, str]]) -> None:
    """Collect the tasks of a graph and of the graphs below it; `outside`: its own inputs to who writes them."""
    for name, task in tasks.items():
        sources = {
            key: source["taskOutputArtifact"]["producerTask"]
            if "taskOutputArtifact" in source
            else outside[source["componentInputArtifact"]]
            for key, source in task.get("inputs", {}).get("artifacts", {}).items()
        }
        inner = spec["components"][task["componentRef"]["name"]].get("dag")
        if inner is None:
            wires[name] = sources
        else:
            _walk(spec, inner["tasks"], sources, wires)
