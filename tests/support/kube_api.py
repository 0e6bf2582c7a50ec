"""A Kubernetes API on 127.0.0.1, as far as a roll-out asks it: discovery, reads, and applies on the server's side."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml

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


class _Handler(BaseHTTPRequestHandler):
    cluster: Cluster
    turn: threading.Lock

    def do_GET(self) -> None:
        self._serve()

    def do_PATCH(self) -> None:
        self._serve()

    def _serve(self) -> None:
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        with self.turn:
            kind = self.headers.get("content-type", "")
            status, content = self.cluster.answer(self.command, url.path, kind, query, body)
        data = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        return None


@contextmanager
def serving(cluster: Cluster) -> Iterator[Cluster]:
    """The cluster, while it answers."""
    handler = type("Handler", (_Handler,), {"cluster": cluster, "turn": threading.Lock()})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    cluster.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield cluster
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
