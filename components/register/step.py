"""Register, as declared (`components.declared`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from components.declared import Step, Task
from crossmix.artifacts import Registration


def figures(folder: Path) -> dict[str, Any]:
    """Which version it became."""
    return {"version": Registration.load(folder).version}


STEP = Step(
    name="register",
    order=90,
    core="crossmix.registry.step_register:register",
    settings=("registry", "readapt.promote"),
    aside=("serving.database",),  # whose lock it takes, that nobody else registers or promotes meanwhile
    pipelines=("training", "readapt", "online"),
    figures=figures,
    shown=("version",),
    tasks=(
        *(
            Task(
                name=name,
                core="crossmix.registry.step_register_task:register",
                settings=("registry",),
                aside=("serving.database",),  # as above
                figures=figures,
                shown=("version",),
            )
            for name in ("creators", "journeys")
        ),
    ),
)
