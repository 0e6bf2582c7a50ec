"""The part of Kubernetes' API that Kubeflow Trainer's client asks, with a TrainJob that a test moves on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.json_api import answering

NAMESPACE = "crossmix"
RUNTIME: dict[str, Any] = {
    "apiVersion": "trainer.kubeflow.org/v1alpha1",
    "kind": "TrainingRuntime",
    "metadata": {
        "name": "crossmix-torch", "namespace": NAMESPACE, "labels": {"trainer.kubeflow.org/framework": "torch"}
    },
    "spec": {
        "mlPolicy": {"numNodes": 1, "torch": {"numProcPerNode": "auto"}},
        "template": {"spec": {"replicatedJobs": [{
            "name": "node",
            "template": {
                "metadata": {"labels": {"trainer.kubeflow.org/trainjob-ancestor-step": "trainer"}},
                "spec": {"template": {"spec": {"containers": [{"name": "node", "image": "any"}]}}},
            },
        }]}},
    },
}  # fmt: skip


class TrainerApi:
    """Jobs by name; what was asked, and answers that a test puts before its own."""

    def __init__(self) -> None:
        self.jobs: dict[str, dict[str, Any]] = {}
        self.posted: list[dict[str, Any]] = []
        self.deleted: list[str] = []
        self.asked: list[str] = []
        self.troubles: list[tuple[str, int]] = []
        """Answers to come: the method that gets it, and the status."""
        self.made: Callable[[dict[str, Any]], None] = lambda _: None
        """Called with a job that was posted."""
        self.runtime = True
        self.log = "step 1\nstep 2"

    def add(self, name: str, status: str = "") -> None:
        """A job that somebody made before."""
        self.jobs[name] = _made({"metadata": {"name": name}, "spec": {"runtimeRef": {"name": "crossmix-torch"}}})
        if status:
            self.become(name, status)

    def become(self, name: str, status: str) -> None:
        """`Complete` or `Failed`."""
        moment = {"lastTransitionTime": "2026-01-05T00:00:00Z", "reason": "Said", "message": ""}
        self.jobs[name]["status"] = {"conditions": [{"type": status, "status": "True", **moment}]}

    def answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        """Status and body of a request."""
        self.asked.append(f"{method} {path}")
        for index, (asked, status) in enumerate(self.troubles):
            if asked == method and "/trainjobs" in path:
                del self.troubles[index]
                return status, {"kind": "Status", "reason": "Trouble", "code": status}
        parts = path.partition("?")[0].strip("/").split("/")
        if "trainingruntimes" in parts and self.runtime:
            return 200, RUNTIME
        if parts[-1] == "pods":
            pod = {
                "metadata": {
                    "name": "node-0-0", "namespace": NAMESPACE,
                    "labels": {
                        "jobset.sigs.k8s.io/replicatedjob-name": "node",
                        "batch.kubernetes.io/job-completion-index": "0",
                    },
                },
                "spec": {"containers": [{"name": "node", "image": "any"}]},
                "status": {"phase": "Running"},
            }  # fmt: skip
            return 200, {"kind": "PodList", "apiVersion": "v1", "items": [pod]}
        if parts[-1] == "log":
            return 200, self.log
        if "trainjobs" in parts:
            return self._job(method, parts[-1], body)
        return 404, {"kind": "Status", "code": 404}

    def _job(self, method: str, name: str, body: Any) -> tuple[int, Any]:
        if method == "POST":
            if body["metadata"]["name"] in self.jobs:
                return 409, {"kind": "Status", "reason": "AlreadyExists", "code": 409}
            self.posted.append(body)
            self.jobs[body["metadata"]["name"]] = _made(body)
            self.made(body)
            return 201, body
        if name not in self.jobs:
            return 404, {"kind": "Status", "reason": "NotFound", "code": 404}
        if method == "DELETE":
            self.deleted.append(name)
            return 200, self.jobs.pop(name)
        return 200, self.jobs[name]


def _made(body: dict[str, Any]) -> dict[str, Any]:
    metadata = {**body["metadata"], "namespace": NAMESPACE, "creationTimestamp": "2026-01-05T00:00:00Z"}
    kind = {"apiVersion": "trainer.kubeflow.org/v1alpha1", "kind": "TrainJob"}
    return {**kind, **body, "metadata": metadata}


@contextmanager
def serving(folder: Path) -> Iterator[tuple[TrainerApi, Path]]:
    """The API on a free port of 127.0.0.1, and a kubeconfig that leads there."""
    api = TrainerApi()
    with answering(lambda asked: api.answer(asked.method, asked.path, asked.json)) as url:
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "here",
            "clusters": [{"name": "here", "cluster": {"server": url}}],
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me", "namespace": NAMESPACE}}],
            "users": [{"name": "me", "user": {"token": "secret"}}],
        }
        path = folder / "kubeconfig.json"
        path.write_text(json.dumps(config))
        yield api, path
