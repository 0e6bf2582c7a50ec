"""The training pipeline: ingest, features, fusion, market, train, align, gate, meta, register, deploy."""

from pathlib import Path

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


def compile_to(path: Path, image: str | None = None, gpus: int = 4, place: Cluster | None = None) -> None:
    """Write the pipeline's IR; arguments as `pipelines.wiring.write`'s."""
    write(TRAINING, path, image, gpus, place)
