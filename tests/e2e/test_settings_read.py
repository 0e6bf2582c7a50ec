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

from components.declared import Step, steps
from crossmix.artifacts import Lead, ReadaptationJudged, Registration
from crossmix.config import Config, load
from crossmix.registry.store import Registry
from crossmix.registry.version import Version
from pipelines.training import TRAININGS
from serving.deploy import deploy
from serving.rollout import Place, settings_of
from tests.support.json_api import answering
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
    assert reads == {
        "train.pathwise.updates",
        "gates.latency_ms",
        "preset",
        "decay",
        "task",
    }  # `replace` copies bare leaves


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
    assert not undeclared(step, reads), f"components/{name}/step.py must declare {', '.join(undeclared(step, reads))}"
    if name == "deploy":
        return  # what it reads of a re-adaptation, it does not of a training: the next test
    assert not idle(step, reads), f"components/{name}/step.py declares {', '.join(idle(step, reads))}: never read"


def test_deploy_reads_all_that_it_declares(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a cluster, after a re-adaptation, with a server to ask: its whole work, but for Kubernetes' own part."""
    step = steps(None)["deploy"]
    told: list[dict[str, Any]] = []

    def rolled(place: Place, config: Config, version: int, champion: bool) -> str:
        told.append(settings_of(config))
        return f"version {version} was rolled out"

    monkeypatch.setattr(
        Place, "of_environment", classmethod(lambda cls: cls(image="", manifests={}, namespace="", router=""))
    )
    monkeypatch.setattr("serving.deploy.roll_out", rolled)
    Registration(name="m", version=2, aliases=(), run_id="r", bundle_digest="d", note="").save(tmp_path)
    lead = Lead(mean=0.02, ci95=(0.01, 0.03))
    ReadaptationJudged(
        version=1, bundle_digest="c", oracle_ratio=0.98, champion_ratio=0.96, lead=lead, market_seeds=20, cycles=30,
        outcome="adapted", reason="", generated=True,
    ).save(tmp_path)  # fmt: skip
    with answering(lambda asked: (201, {"version": 2, "part": 0.1, "ended": None})) as server:
        config, reads = recorded(load("laptop", [f"readapt.server={server}"]))
        reads.clear()
        found = deploy(config, tmp_path, tmp_path, tmp_path)
    assert (found.state, found.rollout) == ("canary", "version 2 was rolled out")
    assert told[0]["serving"]["experiment"] == load("laptop").serving.experiment
    assert not undeclared(step, reads)
    assert not idle(step, reads), f"components/deploy/step.py declares {', '.join(idle(step, reads))}: never read"
    reads -= {key for key in reads if covers("serving", key)}
    assert idle(step, reads) == ["serving"], "what is idle is told"


def undeclared(step: Step, reads: set[str]) -> list[str]:
    """What a step has read and does not declare; its task counts by itself (`components.declared.Task`)."""
    declared = (*step.settings, *step.aside, "task")
    return sorted(key for key in reads if not any(covers(one, key) for one in declared))


def idle(step: Step, reads: set[str]) -> list[str]:
    """What a step declares and has not read, but for the run of a step that every run does for itself.

    No core function reads `readapt.run`: it is declared for the key, which is then the run's own.
    """
    told = [one for one in (*step.settings, *step.aside) if not (step.anew and one == "readapt.run")]
    return [one for one in told if not any(covers(one, key) for key in reads)]


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
    walked = [step for task in TRAININGS for step in steps(task=task).values() if step.name != "deploy"]
    told = {one for step in walked for one in (*step.settings, *step.aside)}
    untrained = {"journeys"} - set(TRAININGS)
    unread = set(Config.__dataclass_fields__) - {one.partition(".")[0] for one in told}
    assert unread == {"monitor", "alerts"} | untrained
    assert {one for one in told if one.startswith("serving")} == {"serving.database"}, "where promotions wait"
