"""Deploy, as declared (`components.declared`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from components.declared import Step
from crossmix.artifacts import Deployment


def figures(folder: Path) -> dict[str, Any]:
    """What became of which version."""
    told = Deployment.load(folder)
    return {"version": told.version, "state": told.state}


STEP = Step(
    name="deploy",
    order=140,
    core="serving.deploy:deploy",
    settings=("readapt.promote", "readapt.server", "readapt.run", "serving"),
    pipelines=("readapt", "online"),
    figures=figures,
    shown=("version", "state"),
)
