"""A Kubernetes API on 127.0.0.1, as far as a roll-out asks it: discovery, reads, and applies on the server's side."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.support.json_api import Asked, answering

Object = dict[str, Any]
GROUP = "serving.kserve.io/v1beta1"
PREFIXES = {
    "/api/v1/namespaces/": ("v1", "configmaps"),
    f"/apis/{GROUP}/namespaces/": (GROUP, "inferenceservices"),
}
APPLY = "application/apply-patch+yaml"


def _resources(group_version: str, name: str, kind: str) -> Object:
    row = {"name": name, "singularName": kind.lower(), "namespaced": True, "kind": kind, "verbs": ["get", "patch"]}
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": [row]}


DISCOVERY: dict[str, Object] = {
    "/version": {"major": "1", "minor": "36", "gitVersion": "v1.36.0"},
    "/api": {"kind": "APIVersions", "versions": ["v1"]},
    "/apis": {
        "kind": "APIGroupList",
        "apiVersion": "v1",
        "groups": [
            {
                "name": GROUP.partition("/")[0],
                "versions": [{"groupVersion": GROUP, "version": "v1beta1"}],
                "preferredVersion": {"groupVersion": GROUP, "version": "v1beta1"},
            }
        ],
    },
    "/api/v1": _resources("v1", "configmaps", "ConfigMap"),
    f"/apis/{GROUP}": _resources(GROUP, "inferenceservices", "InferenceService"),
}


@dataclass
class Cluster:
    """What is there, and what was applied.

    Args:
        become: what the controllers make of an object that was applied: its status.
        refuse: a status and a message for what may not be applied; `None`: it may.
    """

    become: Callable[[Object], Object]
    refuse: Callable[[Object], tuple[int, str] | None] = lambda _: None
    objects: dict[str, Object] = field(default_factory=dict)
    """By path."""
    applied: list[tuple[dict[str, str], Object]] = field(default_factory=list)
    """Parameters and document of each."""
    url: str = ""

    def kubeconfig(self, file: Path) -> Path:
        """A file that names it."""
        place = {"name": "fake", "cluster": {"server": self.url}}
        context = {"name": "fake", "context": {"cluster": "fake", "user": "fake"}}
        users = [{"name": "fake", "user": {"token": "abc"}}]
        tree = {"apiVersion": "v1", "kind": "Config", "clusters": [place], "contexts": [context], "users": users}
        file.write_text(yaml.safe_dump({**tree, "current-context": "fake"}))
        return file

    def answer(self, method: str, path: str, kind: str, query: dict[str, str], body: bytes) -> tuple[int, Object]:
        if method == "GET" and path in DISCOVERY:
            return 200, DISCOVERY[path]
        known = any(path.startswith(prefix) and f"/{name}/" in path for prefix, (_, name) in PREFIXES.items())
        if not known:
            return 404, _failure(404, f"{path} is unknown")
        if method == "GET":
            found = self.objects.get(path)
            return (404, _failure(404, f"{path} not found")) if found is None else (200, found)
        if method != "PATCH" or kind != APPLY:
            return 405, _failure(405, f"{method} {kind}")
        document: Object = yaml.safe_load(body)
        refused = self.refuse(document)
        if refused is not None:
            return refused[0], _failure(*refused)
        self.applied.append((query, document))
        before = self.objects.get(path)
        metadata = {**document["metadata"], "uid": "u", "resourceVersion": str(len(self.applied))}
        metadata["managedFields"] = [{"manager": query.get("fieldManager"), "operation": "Apply"}]
        metadata["generation"] = 1 if before is None else before["metadata"]["generation"] + 1
        made = {**document, "metadata": metadata}
        self.objects[path] = {**made, "status": self.become(made)}
        return 200, self.objects[path]


def _failure(code: int, message: str) -> Object:
    return {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "message": message}


@contextmanager
def serving(cluster: Cluster) -> Iterator[Cluster]:
    """The cluster, while it answers."""

    def answer(asked: Asked) -> tuple[int, Object]:
        return cluster.answer(asked.method, asked.path, asked.headers.get("content-type", ""), asked.query, asked.body)

    with answering(answer) as cluster.url:
        yield cluster
