"""How a pipeline is built: its wiring, called once for every place, and what the place puts on each step.

A pipeline's wiring is a function of `Call`, which makes a step's task. Every step has a parameter of its own with the
settings that it declares, so that a setting of one step is no reason for Kubeflow to run another.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from kfp import compiler, dsl

from components.cache import declared_json
from components.declared import SPLIT, Step, steps
from crossmix.config import Config
from crossmix.config.cluster import ACCELERATOR, Cluster

FOLDER = "steps"
"""The step store's folder on its volume."""
LOG = "log"
"""The parameter that stands for the raw log's content."""
Call = Callable[..., Any]
"""(component, **artifacts) -> the step's task."""


@dataclass(frozen=True, slots=True)
class Pipeline:
    """One pipeline."""

    name: str
    """Of its file, and of `Step.pipelines`."""
    title: str
    """In Kubeflow."""
    description: str
    wire: Callable[[Call], None]
    """Calls every step once."""
    task: str = SPLIT
    """Whose steps they are (`config.task`)."""

    @property
    def steps(self) -> Mapping[str, Step]:
        """Its steps by name."""
        return steps(self.name, self.task)

    @property
    def has_ranks(self) -> bool:
        """Whether its train step runs on ranks, each with a GPU, and may be a TrainJob: the split's does."""
        return self.task == SPLIT and "train" in self.steps


def parameter(step: str) -> str:
    """The pipeline's parameter with a step's settings."""
    return f"{step}_config"


def arguments(pipeline: Pipeline, config: Config, store: str = "", log: str = "") -> dict[str, str]:
    """What a run is given.

    Args:
        store: the step store, as the steps see it; "": none.
        log: stands for the raw log's content, where Kubeflow caches.
    """
    given = {parameter(name): declared_json(step, config) for name, step in pipeline.steps.items()}
    logged = any(step.reads_log for step in pipeline.steps.values())
    return given | {"store": store} | ({LOG: log} if logged else {})


def store_of(place: Cluster | None) -> str:
    """The step store, as the steps of a place see it; "": none."""
    return f"{place.store.path}/{FOLDER}" if place is not None and place.store is not None else ""


def build(pipeline: Pipeline, place: Cluster | None = None, defaults: Mapping[str, str] | None = None) -> Any:
    """The pipeline for kfp.

    Args:
        place: puts its settings on every step, and ends the run with `finish`; `None`: this machine.
        defaults: of its parameters, for a pipeline that is uploaded; `None`: only of the store and the log.

    Raises:
        ConfigError: the place names a step that no pipeline has, or retries for one that does not resume.
    """
    put_on = None if place is None else _putting(place)
    declared = pipeline.steps
    given = {"store": store_of(place)} | dict(defaults or {})
    logged = any(step.reads_log for step in declared.values())
    names = [*map(parameter, declared), "store", *([LOG] if logged else [])]

    def traced(*values: Any) -> None:
        parameters = dict(zip(names, values, strict=True))

        def call(component: Any, **artifacts: Any) -> Any:
            step = declared[component.name]
            extra = {LOG: parameters[LOG]} if step.reads_log else {}
            config = parameters[parameter(step.name)]
            task = component(config_json=config, store=parameters["store"], **extra, **artifacts)
            return task if put_on is None else put_on(task, step)

        if place is None or put_on is None:
            pipeline.wire(call)
        else:
            from components.finish.component import finish

            # Whatever becomes of the run, `finish` reports it and frees its TrainJob.
            makes = place.train == "trainjob" and pipeline.has_ranks
            namespace = place.namespace if makes else ""
            last = finish(pipeline=pipeline.title, store=parameters["store"], namespace=namespace)
            with dsl.ExitHandler(put_on(last, None), name="run"):
                pipeline.wire(call)

    signed: Any = traced
    signed.__name__ = pipeline.name
    signed.__signature__ = inspect.Signature([_parameter(name, given) for name in names])
    return dsl.pipeline(name=pipeline.title, description=pipeline.description)(signed)


def _parameter(name: str, given: Mapping[str, str]) -> inspect.Parameter:
    default = given.get(name, "" if name in ("store", LOG) else inspect.Parameter.empty)
    return inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=default, annotation=str)


def _putting(place: Cluster) -> Callable[[Any, Step | None], Any]:
    """What puts a place's settings on a task; imported only for a place."""
    from pipelines.place import check, put_on

    check(place)
    return lambda task, step: put_on(task, step, place)


def write(
    pipeline: Pipeline,
    path: Path,
    image: str | None = None,
    gpus: int = 0,
    place: Cluster | None = None,
    defaults: Mapping[str, str] | None = None,
) -> None:
    """Write a pipeline's IR.

    Args:
        image: replaces the image of every step, where there is no place.
        gpus: NVIDIA GPUs that the train step asks for, one per rank (`train.ranks`), where there is no place; 0: none.
        place: as `build`; the next too.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    compiler.Compiler().compile(build(pipeline, place, defaults), str(path))
    if place is not None:
        return
    spec, *platforms = yaml.safe_load_all(path.read_text())
    for name, executor in spec["deploymentSpec"]["executors"].items():
        if image:
            executor["container"]["image"] = image
        if gpus and pipeline.has_ranks and name == "exec-train":
            # The fields that kfp's own `set_accelerator_type` and `set_accelerator_limit` write.
            asked = {"resourceCount": str(gpus), "resourceType": ACCELERATOR, "count": str(gpus), "type": ACCELERATOR}
            executor["container"]["resources"] = {"accelerator": asked}
    path.write_text(yaml.safe_dump_all([spec, *platforms], sort_keys=True))
