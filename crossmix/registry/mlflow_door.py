"""MLflow, imported late and quiet, and what every part of the registry asks of it."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from types import MappingProxyType
from typing import Any

from crossmix import config as config_module
from crossmix.bundle import Bundle

LARGEST_PARAM, LARGEST_TAG = 6_000, 5_000


RUNTIME = ("mlflow", "numpy", "onnxruntime", "pydantic")
"""What the registered model needs beside crossmix itself."""


NOTHING: Mapping[str, Any] = MappingProxyType({})


class RegistryError(ValueError):
    """The registry cannot do what was asked; the message names what is missing and the remedy."""


def bundle_tags(loaded: Bundle) -> dict[str, str]:
    manifest = loaded.manifest
    verdicts = {str(gate["name"]): str(gate["verdict"]) for gate in manifest["gates"] if "verdict" in gate}
    return {
        "bundle_digest": loaded.digest,
        "data_digest": str(manifest["data_digest"]),
        "config_digest": str(manifest["config_digest"]),
        "evaluate_digest": config_module.digest(asdict(loaded.config.evaluate)),
        "layout_digest": str(manifest["layout_digest"]),
        "gates": json.dumps(verdicts, sort_keys=True),
        "lineage": json.dumps(manifest["lineage"], sort_keys=True),
    }


@contextmanager
def tracking_at(uri: str) -> Iterator[None]:
    """MLflow's global address is `uri`, then what it was: its stores use it inside, whatever the client was told."""
    mlflow = open_mlflow()
    before = mlflow.get_tracking_uri(), mlflow.get_registry_uri()
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(before[0])
        mlflow.set_registry_uri(before[1])


def open_mlflow() -> Any:
    """MLflow, imported late, quiet, and asking nobody."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("DO_NOT_TRACK", "true")
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    import mlflow

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
    return mlflow
