"""MLflow, imported late and quiet, and what every part of the registry asks of it."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

LARGEST_PARAM, LARGEST_TAG = 6_000, 5_000


NOTHING: Mapping[str, Any] = MappingProxyType({})


class RegistryError(ValueError):
    """The registry cannot do what was asked; the message names what is missing and the remedy."""


class NoVersionError(RegistryError):
    """The registry answers, and has no such version or alias."""


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
