"""Gate, as declared (`components.declared`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from components.declared import Step, Task
from crossmix.artifacts import Evaluation, TaskJudged
from crossmix.config import CARRIED, OF_TASKS


def figures(folder: Path) -> dict[str, Any]:
    """The policy's means, and every competitor's oracle ratio."""
    policies = Evaluation.load(folder).policies
    own = policies["policy"]
    return {
        "policy_oracle_ratio": own.oracle_ratio.mean,
        "policy_gap_closed": own.gap_closed.mean,
        "policy_utilisation": own.utilisation.mean,
    } | {
        f"{name}_oracle_ratio": result.oracle_ratio.mean
        for name, result in policies.items()
        if name not in {"policy", "oracle"}
    }


def judged(folder: Path) -> dict[str, Any]:
    """The figures of another task than the split."""
    return {name: figure.mean for name, figure in TaskJudged.load(folder).figures.items()}


def carried(task: str) -> tuple[str, ...]:
    """What a task's bundle carries of the config: a bundle that is reused must not carry an old one."""
    return tuple(name for name in OF_TASKS[task] if name != "task")


STEP = Step(
    name="gate",
    order=70,
    core="crossmix.evaluate.gates.judge_step:judge",
    settings=CARRIED,  # its bundle carries the config: a bundle that is reused must not carry an old one
    figures=figures,
    shown=("policy_oracle_ratio",),
    tasks=(
        Task(
            name="creators",
            core="crossmix.creators.step_gate:judge",
            settings=carried("creators"),
            figures=judged,
            shown=("share_of_bound", "lead"),
        ),
        Task(
            name="journeys",
            core="crossmix.journeys.step_gate:judge",
            settings=carried("journeys"),
            figures=judged,
            shown=("click_auc", "auc_lead"),
        ),
    ),
)
