"""Deploy, as declared (`components.declared`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from components.declared import Step
from crossmix.artifacts import Deployment


def figures(folder: Path) -> dict[str, Any]:
    """What became of which version, and what was rolled out."""
    told = Deployment.load(folder)
    return {"version": told.version, "state": told.state, "rollout": told.rollout}


STEP = Step(
    name="deploy",
    order=140,
    core="serving.deploy:deploy",
    settings=("readapt.promote", "readapt.server", "readapt.run", "serving"),
    environment=(
        "CROSSMIX_SERVE_IMAGE",
        "CROSSMIX_MANIFESTS",
        "CROSSMIX_MANIFEST_POLICY",
        "CROSSMIX_MANIFEST_CONTROL",
        "CROSSMIX_MANIFEST_ROUTER",
        "CROSSMIX_NAMESPACE",
        "CROSSMIX_ROUTER_URL",
    ),
    pipelines=("training", "readapt", "online"),
    anew=True,
    figures=figures,
    shown=("version", "state"),
)
