"""The training pipelines, one per task out of the same components.

split      ingest, features, fusion, market, train, align, gate, meta, register, deploy
journeys   ingest, features, train, gate, register
creators   ingest, train, gate, register
"""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from kfp import dsl

from components.align.component import align
from components.deploy.component import deploy
from components.features.component import features
from components.fusion.component import fusion
from components.gate.component import gate
from components.ingest.component import ingest
from components.market.component import market
from components.meta.component import meta
from components.register.component import register
from components.train.component import train
from crossmix.config import ConfigError
from crossmix.config.cluster import Cluster
from pipelines.wiring import Call, Pipeline, write


def wire(call: Call) -> None:
    """Call every step once."""
    log = call(ingest).outputs["dataset"]
    encoded = call(features, dataset=log).outputs["features"]
    fused = call(fusion, dataset=log, features=encoded).outputs["fusion"]
    simulator = call(market, dataset=log, fusion=fused).outputs["market"]
    trained = call(train, market=simulator).outputs["policy"]
    policy = call(align, dataset=log, market=simulator, policy=trained).outputs["aligned"]
    verdict = call(gate, dataset=log, features=encoded, fusion=fused, market=simulator, policy=policy)
    with dsl.If(verdict.outputs["Output"] == "passed", name="gates-passed"):
        ready = call(meta, market=simulator, policy=policy).outputs["start"]
        judged = verdict.outputs["evaluation"]
        version = call(register, evaluation=judged, policy=policy, meta=ready, market=simulator)
        call(deploy, registration=version.outputs["registration"], evaluation=judged)


TRAINING = Pipeline(
    name="training",
    title="crossmix-training",
    description="Learn, prove and register the split of an advertising budget.",
    wire=wire,
)


def wire_short(call: Call) -> None:
    """Call the steps of a task that learns from its dataset alone; a server follows its registry by itself."""
    _learn(call, call(ingest).outputs["dataset"])


def wire_journeys(call: Call) -> None:
    """As `wire_short`, with users' exposures in a feature store, which the server of the run asks."""
    dataset = call(ingest).outputs["dataset"]
    call(features, dataset=dataset)
    _learn(call, dataset)


def _learn(call: Call, dataset: Any) -> None:
    policy = call(train, dataset=dataset).outputs["policy"]
    verdict = call(gate, dataset=dataset, policy=policy)
    with dsl.If(verdict.outputs["Output"] == "passed", name="gates-passed"):
        call(register, evaluation=verdict.outputs["evaluation"])


CREATORS = Pipeline(
    name="training",
    task="creators",
    title="crossmix-creators",
    description="Fit, prove and register a planner of creator matrices.",
    wire=wire_short,
)
JOURNEYS = Pipeline(
    name="training",
    task="journeys",
    title="crossmix-journeys",
    description="Learn, prove and register a response model of users' journeys.",
    wire=wire_journeys,
)
TRAININGS: Mapping[str, Pipeline] = MappingProxyType({one.task: one for one in (TRAINING, JOURNEYS, CREATORS)})
"""Task to its pipeline."""


def training_of(task: str) -> Pipeline:
    """The training pipeline of a task.

    Raises:
        ConfigError: this version has none.
    """
    if task not in TRAININGS:
        raise ConfigError(
            f"task: {task!r} cannot be trained by this version of crossmix; use one of {', '.join(TRAININGS)}"
        )
    return TRAININGS[task]


def compile_to(path: Path, image: str | None = None, gpus: int = 4, place: Cluster | None = None) -> None:
    """Write the IR of the split's pipeline; arguments as `pipelines.wiring.write`'s."""
    write(TRAINING, path, image, gpus, place)
