"""The re-adaptation pipeline: champion, feedback, readapt, gate, register, deploy (paper 2.3.2, 2.5)."""

from functools import partial
from pathlib import Path
from typing import Any

from kfp import dsl

from components.champion.component import champion
from components.deploy.component import deploy
from components.feedback.component import feedback
from components.judge.component import judge
from components.readapt.component import readapt
from components.register.component import register
from crossmix.config.cluster import Cluster
from pipelines.wiring import Call, Pipeline, write


def follow(adapting: Any, call: Call) -> None:
    """The steps of a pipeline that follows its market; `adapting`: the component that makes the challenger."""
    served = call(champion).outputs["champion"]
    came = call(feedback, champion=served).outputs["feedback"]
    policy = call(adapting, champion=served, feedback=came).outputs["policy"]
    verdict = call(judge, champion=served, feedback=came, policy=policy)
    with dsl.If(verdict.outputs["Output"] == "register", name="gates-passed"):
        judged = verdict.outputs["evaluation"]
        version = call(register, evaluation=judged, policy=policy, meta=served, market=served)
        call(deploy, registration=version.outputs["registration"], evaluation=judged)


READAPT = Pipeline(
    name="readapt",
    title="crossmix-readapt",
    description="Follow a market that has moved: refit, adapt, prove, register, try.",
    wire=partial(follow, readapt),
)


def compile_to(path: Path, image: str | None = None, place: Cluster | None = None) -> None:
    """Write the pipeline's IR; arguments as `pipelines.wiring.write`'s."""
    write(READAPT, path, image, place=place)
