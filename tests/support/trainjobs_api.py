"""Kubernetes' API for TrainJobs on 127.0.0.1, in memory, as far as freeing them asks of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.support.json_api import Asked, answering

PATH = "/apis/trainer.kubeflow.org/v1alpha1/namespaces/crossmix/trainjobs"


@dataclass
class Jobs:
    """What it has, and what it was asked."""

    labels: dict[str, dict[str, str]] = field(default_factory=dict)
    """Job -> its labels."""
    asked: list[tuple[str, str]] = field(default_factory=list)
    busy: int = 0
    """How many of the next requests are answered 503."""
    gone: set[str] = field(default_factory=set)
    """Jobs that are listed, and gone before they are deleted."""


@contextmanager
def serving(jobs: Jobs) -> Iterator[Any]:
    """A `CustomObjectsApi` of it."""
    from kubernetes import client

    def answer(asked: Asked) -> tuple[int, Any]:
        jobs.asked.append((asked.method, asked.path))
        if jobs.busy:
            jobs.busy -= 1
            return 503, {}
        if asked.method == "GET":
            key, _, value = asked.query["labelSelector"].partition("=")
            found = [name for name, labels in jobs.labels.items() if labels.get(key) == value]
            return 200, {"items": [{"metadata": {"name": name}} for name in found]}
        name = asked.path.removeprefix(f"{PATH}/")
        if name in jobs.gone:
            return 404, {}
        del jobs.labels[name]
        return 200, {}

    settings = client.Configuration()
    with answering(answer) as settings.host, client.ApiClient(settings) as made:
        yield client.CustomObjectsApi(made)
