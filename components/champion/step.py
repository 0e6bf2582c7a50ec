"""Champion, as declared (`components.declared`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from components.declared import Step
from crossmix.artifacts import ServingVersion


def figures(folder: Path) -> dict[str, Any]:
    """Which version it is."""
    return {"version": ServingVersion.load(folder).version}


STEP = Step(
    name="champion",
    order=100,
    core="crossmix.registry.step_champion:champion",
    settings=("registry", "readapt.run"),  # another run asks the registry anew
    pipelines=("readapt", "online"),
    anew=True,
    figures=figures,
    shown=("version",),
)
