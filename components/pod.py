"""What a step's pod is told by its environment: nothing of it is of the config, so nothing of a key."""

from __future__ import annotations

import os
from dataclasses import replace

from crossmix.config import Config, from_json

RUN = "CROSSMIX_RUN"
"""Id of the Kubeflow run that the pod belongs to."""
LABEL = "crossmix/run"
"""Label of what a run makes beside its pods, with its id."""
TRAINJOB = "CROSSMIX_TRAINJOB"
"""Where the train step makes its TrainJob, as JSON; absent: it trains in its own pod."""


def config_of(config_json: str) -> Config:
    """A step's config, `readapt.run` being Kubeflow's run where the config names none: a schedule's runs have one each.

    Kubernetes puts no variable into another that comes before it, so that the run's id is put into the others here.
    """
    run = os.environ.get(RUN, "")
    if run and TRAINJOB in os.environ:
        os.environ[TRAINJOB] = os.environ[TRAINJOB].replace(f"$({RUN})", run)
    config = from_json(config_json)
    return replace(config, readapt=replace(config.readapt, run=run)) if run and not config.readapt.run else config
