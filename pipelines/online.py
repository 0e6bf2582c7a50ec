"""The daily pipeline: champion, feedback, finetune, gate, register, deploy (paper 2.5)."""

from pathlib import Path

from kfp import dsl

from components.finetune.component import finetune
from pipelines.readapt import follow
from pipelines.training import write

NAME = "crossmix-online"


@dsl.pipeline(name=NAME, description="Every day: refit, plan anew, on demand eq. 12, prove, register, try.")
def online(config_json: str, store: str = "") -> None:
    """Wire the steps.

    Args:
        config_json: the whole config (`crossmix.config.to_json`); `readapt.run` names the run.
        store: a folder shared by all steps that keeps finished steps; "" where Kubeflow caches.
    """
    follow(finetune, config_json, store)


def compile_to(path: Path, image: str | None = None) -> None:
    """Write the pipeline's IR; `image` replaces the image of every step."""
    write(online, path, image)
