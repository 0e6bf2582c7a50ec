"""A launcher of Kubeflow runs against an API in memory: its package is compiled once for all tests."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from crossmix.config import load, read_cluster
from crossmix.config.cluster import Cluster
from pipelines import launch_kubeflow
from pipelines.launch_kubeflow import KubeflowLauncher
from pipelines.submit import Where
from pipelines.wiring import Pipeline, write
from tests.support.clusters import cluster_file
from tests.support.kfp_api import Api, serving

_PACKAGES: dict[str, str] = {}


@dataclass
class Launching:
    """A launcher, the API that it asks, and the token that it brings."""

    api: Api
    place: Cluster
    token: str
    close: Callable[[], None]
    launcher: KubeflowLauncher = None  # type: ignore[assignment]

    def where(self) -> Where:
        return Where(host=self.api.host, namespace="crossmix", token=self.token, account="crossmix-deploy")

    def again(self) -> KubeflowLauncher:
        """Another one, as after a restart of the webhook."""
        config = load("laptop", ["registry.experiment=spring"])
        return KubeflowLauncher(config, self.place, lambda: self.where())


def launching(folder: Path) -> Launching:
    """Until `close`."""
    stack = ExitStack()
    made = Launching(Api(token="t"), read_cluster(cluster_file(folder)), "t", stack.close)
    stack.enter_context(mock.patch("kfp.Client._LOCAL_KFP_CONTEXT", str(folder / "context.json")))
    stack.enter_context(mock.patch.object(launch_kubeflow, "write", _compiled))
    stack.enter_context(serving(made.api))
    made.launcher = made.again()
    return made


def _compiled(pipeline: Pipeline, path: Path, *, place: Any) -> None:
    key = repr((pipeline.title, place))
    if key not in _PACKAGES:
        write(pipeline, path, place=place)
        _PACKAGES[key] = path.read_text()
    path.write_text(_PACKAGES[key])
