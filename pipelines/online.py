"""The daily pipeline: champion, feedback, finetune, gate, register, deploy (paper 2.5)."""

from functools import partial
from pathlib import Path

from components.finetune.component import finetune
from crossmix.config.cluster import Cluster
from pipelines.readapt import follow
from pipelines.wiring import Pipeline, write

ONLINE = Pipeline(
    name="online",
    title="crossmix-online",
    description="Every day: refit, plan anew, on demand eq. 12, prove, register, try.",
    wire=partial(follow, finetune),
)


def compile_to(path: Path, image: str | None = None, place: Cluster | None = None) -> None:
    """Write the pipeline's IR; arguments as `pipelines.wiring.write`'s."""
    write(ONLINE, path, image, place=place)
