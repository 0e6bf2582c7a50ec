"""The compiled pipeline: what Kubeflow gets, and that every step calls a core function as it is."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from components import IMAGE
from components.declared import steps
from crossmix.config import ConfigError
from pipelines import online, readapt
from pipelines.training import compile_to, training_of
from pipelines.wiring import write
from tests.support.wiring import asked, producers, wired

GOLDEN = Path(__file__).parent / "golden" / "training.yaml"
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ir") / "training.yaml"
    compile_to(path)
    return path


def test_ir_equals_the_golden_file(compiled: Path) -> None:
    assert compiled.read_text() == GOLDEN.read_text(), f"changed on purpose? crossmix compile --out {GOLDEN}"


def test_every_task_has_a_step_and_register_waits_for_the_gates(compiled: Path) -> None:
    spec: dict[str, Any] = yaml.safe_load(compiled.read_text())
    tasks = spec["root"]["dag"]["tasks"]
    (guarded,) = (name for name, task in tasks.items() if "triggerPolicy" in task)
    assert set(tasks) - {guarded} | {"meta", "register", "deploy"} == set(steps())
    assert "== 'passed'" in tasks[guarded]["triggerPolicy"]["condition"]
    assert list(spec["components"][f"comp-{guarded}"]["dag"]["tasks"]) == ["deploy", "meta", "register"]
    images = {executor["container"]["image"] for executor in spec["deploymentSpec"]["executors"].values()}
    assert images == {IMAGE}


def test_kubeflow_shows_metrics_curves_gates_and_report(compiled: Path) -> None:
    kinds = set(re.findall(r"system\.(\w+)", compiled.read_text()))
    assert {"Metrics", "ClassificationMetrics", "Markdown", "HTML", "Dataset", "Model"} <= kinds


def test_an_image_may_be_named(tmp_path: Path) -> None:
    path = tmp_path / "training.yaml"
    compile_to(path, "images.example/crossmix@sha256:0")
    assert IMAGE not in path.read_text()
    assert path.read_text().count("images.example/crossmix@sha256:0") == len(steps())


def test_the_train_step_asks_for_a_gpu_per_rank(compiled: Path, tmp_path: Path) -> None:
    def asked(path: Path) -> dict[str, Any]:
        executors = yaml.safe_load(path.read_text())["deploymentSpec"]["executors"]
        return {
            name: one["container"]["resources"] for name, one in executors.items() if "resources" in one["container"]
        }

    gpu = {"resourceCount": "4", "resourceType": "nvidia.com/gpu", "count": "4", "type": "nvidia.com/gpu"}
    assert asked(compiled) == {"exec-train": {"accelerator": gpu}}
    compile_to(tmp_path / "cpu.yaml", gpus=0)
    assert asked(tmp_path / "cpu.yaml") == {}


COMPILED = {
    "training": compile_to,
    "readapt": readapt.compile_to,
    "online": online.compile_to,
    "creators": lambda path: write(training_of("creators"), path),
    "journeys": lambda path: write(training_of("journeys"), path),
}
"""What writes each pipeline; a training by its task."""


@pytest.fixture(scope="module")
def handed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, dict[str, str]]]:
    """Pipeline to step to the parameters by which artifacts are handed over."""
    return {name: wired(tmp_path_factory.mktemp(name), write) for name, write in COMPILED.items()}


@pytest.mark.parametrize(
    ("pipeline", "name"),
    [
        *((pipeline, name) for pipeline in ("training", "readapt", "online") for name in steps(pipeline)),
        *((task, name) for task in ("creators", "journeys") for name in steps(task=task)),
    ],
)
def test_a_component_calls_its_core_function_as_it_is(pipeline: str, name: str, handed: Any) -> None:
    task = pipeline if pipeline in ("creators", "journeys") else "split"
    step, inputs, store = asked(name, handed[pipeline][name], task)
    module, _, function = step.core.partition(":")
    takes = inspect.signature(getattr(importlib.import_module(module), function)).parameters
    required = {key for key, parameter in takes.items() if parameter.default is parameter.empty}
    assert (step, store) == (steps(None, task)[name], "store")
    assert required - {"work", "home"} == {"config", "out", *inputs}


def test_every_step_is_wired_to_steps_before_it(tmp_path: Path) -> None:
    wires, order = producers(tmp_path), {name: step.order for name, step in steps().items()}
    assert set(wires) == set(order)
    sources = {"dataset": "ingest", "features": "features", "fusion": "fusion", "market": "market", "policy": "align"}
    assert wires["gate"] == sources
    assert wires["register"] == {"evaluation": "gate", "policy": "align", "meta": "meta", "market": "market"}
    assert wires["deploy"] == {"registration": "register", "evaluation": "gate"}
    for name, inputs in wires.items():
        assert all(order[source] < order[name] for source in inputs.values()), name


FOLLOWING = {"readapt": readapt.compile_to, "online": online.compile_to}
"""Pipelines that follow a served market."""


@pytest.mark.parametrize("name", FOLLOWING)
def test_the_ir_of_a_pipeline_that_follows_equals_its_golden_file(name: str, tmp_path: Path) -> None:
    FOLLOWING[name](tmp_path / "ir.yaml")
    golden = GOLDEN.with_name(f"{name}.yaml")
    assert (tmp_path / "ir.yaml").read_text() == golden.read_text(), f"changed on purpose? write {golden} anew"


@pytest.mark.parametrize(("name", "adapting"), [("readapt", "readapt"), ("online", "finetune")])
def test_a_pipeline_that_follows_registers_what_its_gate_lets_pass(name: str, adapting: str, tmp_path: Path) -> None:
    wires = producers(tmp_path, FOLLOWING[name])
    assert wires == {
        "champion": {},
        "feedback": {"champion": "champion"},
        adapting: {"champion": "champion", "feedback": "feedback"},
        "judge": {"champion": "champion", "feedback": "feedback", "policy": adapting},
        "register": {"evaluation": "judge", "policy": adapting, "meta": "champion", "market": "champion"},
        "deploy": {"registration": "register", "evaluation": "judge"},
    }
    assert set(wires) == set(steps(name))
    spec: dict[str, Any] = yaml.safe_load((tmp_path / "pipeline.yaml").read_text())
    tasks = spec["root"]["dag"]["tasks"]
    (guarded,) = (task for task in tasks if "triggerPolicy" in tasks[task])
    assert "== 'register'" in tasks[guarded]["triggerPolicy"]["condition"]
    assert set(spec["components"][f"comp-{guarded}"]["dag"]["tasks"]) == {"register", "deploy"}


@pytest.mark.parametrize("task", ["creators", "journeys"])
def test_the_ir_of_another_task_equals_its_golden_file(task: str, tmp_path: Path) -> None:
    COMPILED[task](tmp_path / "ir.yaml")
    golden = GOLDEN.with_name(f"{task}.yaml")
    assert (tmp_path / "ir.yaml").read_text() == golden.read_text(), f"changed on purpose? write {golden} anew"


@pytest.mark.parametrize("task", ["creators", "journeys"])
def test_another_task_is_registered_behind_its_gates(task: str, tmp_path: Path) -> None:
    wires = producers(tmp_path, COMPILED[task], task)
    stored = {"features": {"dataset": "ingest"}} if task == "journeys" else {}
    assert wires == stored | {
        "ingest": {},
        "train": {"dataset": "ingest"},
        "gate": {"dataset": "ingest", "policy": "train"},
        "register": {"evaluation": "gate"},
    }
    assert set(wires) == set(steps(task=task))
    spec: dict[str, Any] = yaml.safe_load((tmp_path / "pipeline.yaml").read_text())
    tasks = spec["root"]["dag"]["tasks"]
    (guarded,) = (task for task in tasks if "triggerPolicy" in tasks[task])
    assert "== 'passed'" in tasks[guarded]["triggerPolicy"]["condition"]
    assert set(spec["components"][f"comp-{guarded}"]["dag"]["tasks"]) == {"register"}


def test_a_step_of_another_task_is_refused_where_it_has_none() -> None:
    with pytest.raises(ConfigError, match="task: 'creators' has no step market; compile the pipeline of that task"):
        steps()["market"].given('{"task": "creators"}')


@pytest.mark.parametrize("name", steps(None))
def test_a_component_is_thin_and_without_postponed_annotations(name: str) -> None:
    source = (ROOT / "components" / name / "component.py").read_text()
    assert "from __future__" not in source  # kfp reads artifact types from the annotations themselves
    body = source.split('"""')[-1].strip().splitlines()
    assert len(body) <= 15
