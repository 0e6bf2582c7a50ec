"""Run the training pipeline on a cluster through the Kubeflow Pipelines API."""

from __future__ import annotations

import tempfile
from pathlib import Path

from crossmix.config import Config, ConfigError, to_json
from pipelines.training import NAME, compile_to


def submit(config: Config, host: str, *, store: str = "", image: str | None = None, gpus: int | None = None) -> str:
    """Start a run; its id.

    Args:
        host: address of the Kubeflow Pipelines API.
        store: a folder on a volume that every step mounts, for reuse and resume; "": Kubeflow's own caching.
        image: the image of every step; the compiled-in one if absent.
        gpus: NVIDIA GPUs of the train step; absent: as many as ranks.

    Raises:
        ConfigError: the config names no registry that steps in different pods can reach.
    """
    from kfp import Client

    if config.registry.tracking_uri is None:
        raise ConfigError("registry.tracking_uri: None is a file beside a local run; name the cluster's MLflow server")
    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder) / f"{NAME}.yaml"
        compile_to(package, image, config.train.ranks if gpus is None else gpus)
        arguments = {"config_json": to_json(config), "store": store}
        started = Client(host=host).create_run_from_pipeline_package(
            str(package), arguments=arguments, run_name=NAME, experiment_name=config.registry.experiment
        )
    return str(started.run_id)
