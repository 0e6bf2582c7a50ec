"""A run's copy, which a simulation serves and changes; the run itself stays as it is.

What is only read is linked; registry, bundle and features, which a server and a re-adaptation write, are copied. The
copy's config has the simulation's settings, so that any command looks at it as the simulation did.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from crossmix.artifacts import RunRecord
from crossmix.config import Config, ConfigError
from crossmix.registry.trained import KEPT_FOLDER
from pipelines import local

SETTINGS = ("serving.*", "monitor.*", "readapt.*", "levels.*", "alerts.*", "online.sigma")
"""Keys of a run's config that a simulation may change."""
WRITTEN = ("features",)
"""Steps into whose folders somebody writes."""
EXPERIMENT = "crossmix-loop"
"""MLflow's, of what is registered in a copy: artifacts of the run's own experiment lie in the run's folder."""


def copy(out: Path, to: Path, config: Config) -> Config:
    """Copy a finished run with another config.

    Args:
        out: folder of the run.
        to: folder that is made.

    Raises:
        ConfigError: there is no finished run, or it has no bundle.
    """
    record = RunRecord.found(out)
    if record is None:
        local.run_config(out)
        raise ConfigError(f"{out}: holds no finished run; make one with `crossmix run`")
    if not (out / "bundle").is_dir():
        raise ConfigError(f"{out}: it has no bundle, as its gates did not pass; only a policy that passed is served")
    (to / "steps").mkdir(parents=True)
    for name, folder in record.steps.items():
        place = to / folder
        place.parent.mkdir(parents=True, exist_ok=True)
        if name in WRITTEN:
            shutil.copytree(out / folder, place)
        else:
            place.symlink_to((out / folder).resolve(), target_is_directory=True)
        current = to / "steps" / "current" / name
        current.parent.mkdir(exist_ok=True)
        if not current.exists():
            current.symlink_to(place.resolve(), target_is_directory=True)
    shutil.copytree(out / "bundle", to / "bundle")
    if (out / "mlflow.db").is_file():
        shutil.copy2(out / "mlflow.db", to / "mlflow.db")
    if (out / KEPT_FOLDER).is_dir():
        shutil.copytree(out / KEPT_FOLDER, to / KEPT_FOLDER)
    own = replace(
        config,
        registry=replace(config.registry, tracking_uri=None, experiment=EXPERIMENT),
        serving=replace(config.serving, database=None, clock=str((to.parent / "clock").resolve())),
    )
    RunRecord(run_id=record.run_id, config=asdict(own), steps=record.steps).save(to)
    return own


def settings(out: Path, overrides: Sequence[str]) -> Config:
    """A run's config with a simulation's changes; raises `ConfigError`."""
    from pipelines.cli.serve import run_with

    return run_with(out, overrides, "a simulation", SETTINGS)


__all__ = ["SETTINGS", "copy", "settings"]
