"""The training pipeline: ingest, features, fusion, market, train, align, gate, meta, register."""

from pathlib import Path
from typing import Any

from kfp import compiler, dsl

from components.align.component import align
from components.features.component import features
from components.fusion.component import fusion
from components.gate.component import gate
from components.ingest.component import ingest
from components.market.component import market
from components.meta.component import meta
from components.register.component import register
from components.train.component import train

NAME = "crossmix-training"
ACCELERATOR = "nvidia.com/gpu"


@dsl.pipeline(name=NAME, description="Learn, prove and register the split of an advertising budget.")
def training(config_json: str, store: str = "") -> None:
    """Wire the steps.

    Args:
        config_json: the whole config (`crossmix.config.to_json`).
        store: a folder shared by all steps that keeps finished steps and checkpoints; "" where Kubeflow caches.
    """
    given: dict[str, Any] = {"config_json": config_json, "store": store}
    log = ingest(**given).outputs["dataset"]
    encoded = features(**given, dataset=log).outputs["features"]
    fused = fusion(**given, dataset=log, features=encoded).outputs["fusion"]
    simulator = market(**given, dataset=log, fusion=fused).outputs["market"]
    trained = train(**given, market=simulator).outputs["policy"]
    policy = align(**given, dataset=log, market=simulator, policy=trained).outputs["aligned"]
    verdict = gate(**given, dataset=log, features=encoded, fusion=fused, market=simulator, policy=policy)
    with dsl.If(verdict.outputs["Output"] == "passed", name="gates-passed"):
        ready = meta(**given, market=simulator, policy=policy).outputs["start"]
        register(**given, evaluation=verdict.outputs["evaluation"], policy=policy, meta=ready, market=simulator)


def compile_to(path: Path, image: str | None = None, gpus: int = 4) -> None:
    """Write the pipeline's IR.

    Args:
        image: replaces the image of every step.
        gpus: NVIDIA GPUs that the train step asks for, one per rank (`train.ranks`); 0: none.
    """
    write(training, path, image, gpus)


def write(pipeline: Any, path: Path, image: str | None = None, gpus: int = 0) -> None:
    """Write any pipeline's IR; arguments as `compile_to`'s."""
    import yaml

    path.parent.mkdir(parents=True, exist_ok=True)
    compiler.Compiler().compile(pipeline, str(path))
    spec, *platforms = yaml.safe_load_all(path.read_text())
    for name, executor in spec["deploymentSpec"]["executors"].items():
        if image:
            executor["container"]["image"] = image
        if gpus and name == "exec-train":
            # The fields that kfp's own `set_accelerator_type` and `set_accelerator_limit` write.
            asked = {"resourceCount": str(gpus), "resourceType": ACCELERATOR, "count": str(gpus), "type": ACCELERATOR}
            executor["container"]["resources"] = {"accelerator": asked}
    path.write_text(yaml.safe_dump_all([spec, *platforms], sort_keys=True))
