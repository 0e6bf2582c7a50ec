"""What a step declares of itself, beside its component; everything else that knows steps walks these declarations.

A step is one folder, `components/<step>/`: `component.py`, which Kubeflow runs, and `step.py`, whose `STEP` says what
the component calls, what its result depends on, and what is shown of it. With its one call in every pipeline that it
names (`pipelines/training.py`) that is all: cache keys, the run, summary.json, the report and the tests follow.
"""

from __future__ import annotations

import importlib
import json
import math
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import components
from crossmix.config import ConfigError

Figures = Callable[[Path], Mapping[str, Any]]
"""A step's folder -> its figures by name."""
SPLIT = "split"
"""The task that a config names where it names none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """What a step does for another task than the split: its fields replace those of `Step`."""

    name: str
    """A value of `config.task`."""
    core: str
    settings: tuple[str, ...]
    """Besides `task`, which counts by itself."""
    aside: tuple[str, ...] = ()
    resumes: bool = False
    figures: Figures | None = None
    shown: tuple[str, ...] = ()
    told: Callable[[Path], Sequence[str]] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One step."""

    name: str
    """The name of its folder in `components/`."""
    order: int
    """Where it stands in summary.json and in the report, in tens, so that another fits between."""
    core: str
    """The function that does the work, as `module:function`."""
    settings: tuple[str, ...]
    """Config sections, or dotted keys below one, that reach what it writes: a change of one computes it anew."""
    aside: tuple[str, ...] = ()
    """What it reads besides, which reaches nothing that it writes; the declaration says why."""
    pipelines: tuple[str, ...] = ("training",)
    """Of which it is a step: the files of `pipelines/` that call it."""
    environment: tuple[str, ...] = ()
    """Variables that say what it does: where one has another value, a result in the store is not reused."""
    reads_log: bool = False
    """Whether it reads the raw log, whose content then counts."""
    anew: bool = False
    """Whether every run does it for itself, as what it reads or does moves without a setting: its result is never
    another run's. Such a step declares `readapt.run`, so that its key is the run's own."""
    resumes: bool = False
    """Whether its core function takes `work` and goes on from what lies there: only then is it worth a second start."""
    figures: Figures | None = None
    """What the Kubeflow UI, summary.json and the report show of a finished one; none by default."""
    shown: tuple[str, ...] = ()
    """Which of the figures the terminal shows as well."""
    told: Callable[[Path], Sequence[str]] | None = None
    """Further lines that the terminal shows of a finished one, each whole."""
    task: str = SPLIT
    """Whose core function, settings and figures these are."""
    tasks: tuple[Task, ...] = ()
    """What it does for other tasks, as part of their pipelines."""

    def of(self, task: str) -> Step | None:
        """The step as a task has it; `None`: its pipeline has no such step."""
        if task == self.task:
            return self
        own = next((one for one in self.tasks if one.name == task), None)
        if own is None:
            return None
        # A config says of which source it is, so that it can be checked whether that belongs to the task.
        source = () if "data" in own.settings else ("data.source", "data.path")
        return replace(
            self,
            task=task,
            core=own.core,
            settings=("task", *own.settings),
            aside=(*own.aside, *source),
            resumes=own.resumes,
            figures=own.figures,
            shown=own.shown,
            told=own.told,
        )

    def given(self, config_json: str) -> Step:
        """The step as the task of its settings has it.

        Raises:
            ConfigError: that task has no such step.
        """
        task = json.loads(config_json).get("task", SPLIT)
        step = self.of(task)
        if step is None:
            raise ConfigError(f"task: {task!r} has no step {self.name}; compile the pipeline of that task")
        return step

    def measured(self, folder: Path) -> dict[str, float | str]:
        """The figures of a finished step, without those that are undefined."""
        if self.figures is None:
            return {}
        return {name: value for name, value in self.figures(folder).items() if _defined(value)}


def _defined(value: Any) -> bool:
    return isinstance(value, str) or (
        isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    )


def steps(pipeline: str | None = "training", task: str = SPLIT) -> dict[str, Step]:
    """Every step of a pipeline by name, in the order of the report.

    Args:
        pipeline: `None`: those of all.
        task: whose pipeline.

    Raises:
        ValueError: a declaration has another name than its folder.
    """
    declarations = []
    for package in pkgutil.iter_modules(components.__path__):
        folder = Path(package.module_finder.path, package.name)  # type: ignore[union-attr]
        if not (folder / "step.py").is_file():
            continue
        step: Step = importlib.import_module(f"components.{package.name}.step").STEP
        if step.name != package.name:
            raise ValueError(f"components/{package.name}/step.py: its STEP is called {step.name!r}; name it so")
        declarations.append(step)
    ordered = sorted(declarations, key=lambda step: (step.order, step.name))
    of_task = {step.name: step.of(task) for step in ordered if pipeline is None or pipeline in step.pipelines}
    return {name: step for name, step in of_task.items() if step is not None}
