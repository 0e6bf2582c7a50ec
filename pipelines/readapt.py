"""The re-adaptation pipeline: champion, feedback, readapt, gate, register, deploy (paper 2.3.2, 2.5)."""

from pathlib import Path
from typing import Any

from kfp import dsl

from components.champion.component import champion
from components.deploy.component import deploy
from components.feedback.component import feedback
from components.judge.component import judge
from components.readapt.component import readapt
from components.register.component import register
from pipelines.training import write

NAME = "crossmix-readapt"


def follow(adapting: Any, config_json: str, store: str) -> None:
    """The steps of a pipeline that follows its market; `adapting`: the component that makes the challenger."""
    given: dict[str, Any] = {"config_json": config_json, "store": store}
    served = champion(**given).outputs["champion"]
    came = feedback(**given, champion=served).outputs["feedback"]
    policy = adapting(**given, champion=served, feedback=came).outputs["policy"]
    verdict = judge(**given, champion=served, feedback=came, policy=policy)
    with dsl.If(verdict.outputs["Output"] == "register", name="gates-passed"):
        judged = verdict.outputs["evaluation"]
        version = register(**given, evaluation=judged, policy=policy, meta=served, market=served)
        deploy(**given, registration=version.outputs["registration"], evaluation=judged)


@dsl.pipeline(name=NAME, description="Follow a market that has moved: refit, adapt, prove, register, try.")
def readaptation(config_json: str, store: str = "") -> None:
    """Wire the steps.

    Args:
        config_json: the whole config (`crossmix.config.to_json`); `readapt.run` names the run.
        store: a folder shared by all steps that keeps finished steps; "" where Kubeflow caches.
    """
    follow(readapt, config_json, store)


def compile_to(path: Path, image: str | None = None) -> None:
    """Write the pipeline's IR; `image` replaces the image of every step."""
    write(readaptation, path, image)
