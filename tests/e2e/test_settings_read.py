"""Every step declares the settings that it reads, and reads those that it declares: its key covers what it writes."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from components.declared import steps
from crossmix.config import Config, load
from crossmix.registry.store import Registry
from crossmix.registry.version import Version
from tests.support.recorded_config import covers, recorded
from tests.support.small_run import TINY, Ran
from tests.support.wiring import producers

SMALLER = {
    "fusion.train_rows": "500",
    "train.pathwise.updates": "2",
    "train.episodes": "32",
    "train.cycles": "2",
    "align.iterations": "1",
    "align.updates": "1",
    "align.enough": "1",
    "meta.iterations": "1",
    "evaluate.market_seeds": "2",
    "evaluate.cycles": "1",
    "evaluate.bootstrap": "100",
    "thresholds.flights": "1",
    "thresholds.days": "2",
}


def test_a_recorded_config_tells_leaves_and_nothing_else() -> None:
    config, reads = recorded(load("laptop"))
    reads.clear()
    section = config.train
    assert not reads  # a section is handed on unread
    assert section.pathwise.updates == load("laptop").train.pathwise.updates
    moved = replace(config, window=3)
    assert moved.gates.latency_ms == 5.0
    assert reads == {"train.pathwise.updates", "gates.latency_ms", "preset", "decay"}  # `replace` copies bare leaves


@pytest.fixture(scope="module")
def wires(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """Which step's result each core function is given."""
    return producers(tmp_path_factory.mktemp("ir"))


@pytest.fixture(autouse=True)
def away(monkeypatch: pytest.MonkeyPatch) -> None:
    """A registry that answers without MLflow: which settings it is made from is read all the same."""

    @contextmanager
    def follow(self: Registry, *_: Any) -> Iterator[Any]:
        assert self.experiment
        yield lambda point: None

    def register(self: Registry, folder: Path, **_: Any) -> Version:
        return Version(self.model, 1, "r", "d", (), {})

    monkeypatch.setattr(Registry, "follow", follow)
    monkeypatch.setattr(Registry, "register", register)


@pytest.mark.slow
@pytest.mark.parametrize("name", steps())
def test_a_step_declares_what_it_reads(name: str, ran: Ran, wires: dict[str, dict[str, str]], tmp_path: Path) -> None:
    step = steps()[name]
    module, _, function = step.core.partition(":")
    core = getattr(importlib.import_module(module), function)
    config, reads = recorded(load("laptop", [f"{key}={value}" for key, value in (TINY | SMALLER).items()]))
    folders: dict[str, Path] = {key: ran.out / "steps" / "current" / source for key, source in wires[name].items()}
    for key in ("work", "home", "cache"):
        if key in inspect.signature(core).parameters:
            folders[key] = ran.out / "steps" / "cache" if key == "cache" else tmp_path / key
            folders[key].mkdir(exist_ok=True)
    out = tmp_path / "out"
    out.mkdir()
    reads.clear()
    core(config=config, **folders, out=out)
    told = [*step.settings, *step.aside]
    undeclared = sorted(key for key in reads if not any(covers(one, key) for one in told))
    assert not undeclared, f"components/{name}/step.py must declare {', '.join(undeclared)}"
    if len(step.pipelines) > 1:
        return  # what it reads of a re-adaptation, it does not of a training
    idle = [one for one in told if not any(covers(one, key) for key in reads)]
    assert not idle, f"components/{name}/step.py declares {', '.join(idle)}, which the step never reads"


def test_no_step_keeps_aside_what_it_declares() -> None:
    for step in steps().values():
        assert not [one for one in step.aside if any(covers(kept, one) for kept in step.settings)], step.name
        assert set(step.settings) <= {key for key, _ in keys(load("laptop"))}, step.name


def keys(node: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every dotted key, of sections and of leaves."""
    for name in node.__dataclass_fields__:
        value = getattr(node, name)
        yield prefix + name, value
        if hasattr(value, "__dataclass_fields__"):
            yield from keys(value, f"{prefix}{name}.")


def test_the_config_is_read_by_somebody(ran: Ran) -> None:
    """A section that no step declares is the server's, or says what watches it."""
    told = {one for step in steps().values() for one in (*step.settings, *step.aside) if step.name != "deploy"}
    assert set(Config.__dataclass_fields__) - {one.partition(".")[0] for one in told} == {"monitor", "alerts"}
    assert {one for one in told if one.startswith("serving")} == {"serving.database"}, "where promotions wait"
