"""A Kubeflow Pipelines API on 127.0.0.1: what kfp's own client asks of it, in memory, and cut where a test says."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from typing import Any

from tests.support.json_api import Asked, answering

BASE = "/apis/v2beta1"
KINDS = {
    "experiments": ("experiment_id", "experiments"),
    "runs": ("run_id", "runs"),
    "recurringruns": ("recurring_run_id", "recurringRuns"),
    "pipelines": ("pipeline_id", "pipelines"),
    "versions": ("pipeline_version_id", "pipeline_versions"),
}


@dataclass
class Api:
    """What it has, and what it was asked."""

    multi_user: bool = True
    token: str | None = None
    """Without it every request is refused."""
    kept: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: {kind: [] for kind in KINDS})
    """Objects as they were posted, with an id, by kind."""
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    """(method, path, query)."""
    cut: dict[str, int] = field(default_factory=dict)
    """Kind -> how many of the next POSTs are done and not answered."""
    busy: dict[str, int] = field(default_factory=dict)
    """Kind -> how many of the next POSTs are answered 503 and not done."""
    refuse: dict[str, tuple[int, str]] = field(default_factory=dict)
    """Kind -> status and message of every POST."""
    away: bool = False
    """Every request is answered 503."""
    host: str = ""

    def posts(self, kind: str) -> int:
        """How often something of a kind was posted."""
        return sum(method == "POST" and path.endswith(kind) for method, path, _ in self.asked)

    def make(self, kind: str, body: dict[str, Any]) -> dict[str, Any]:
        """Keep an object."""
        made = {**body, KINDS[kind][0]: f"{kind}-{len(self.kept[kind]) + 1}"}
        if kind == "runs":
            made["state"] = "PENDING"
        if kind == "recurringruns":
            made["status"] = "ENABLED"
        self.kept[kind].append(made)
        return made

    def find(self, kind: str, query: dict[str, str], **same: str) -> list[dict[str, Any]]:
        """Those that a filter, an experiment and a namespace leave."""
        wanted = dict(same)
        for one in json.loads(query.get("filter") or "{}").get("predicates", []):
            assert one["operation"] in (1, "EQUALS")
            wanted[one["key"]] = one["stringValue"]
        for key in ("experiment_id", "namespace"):
            if query.get(key):
                wanted[key] = query[key]
        return [one for one in self.kept[kind] if all(one.get(key) == value for key, value in wanted.items())]


@contextmanager
def serving(api: Api) -> Iterator[Api]:
    """The API answers until the end."""

    def answer(asked: Asked) -> tuple[int, Any] | None:
        api.asked.append((asked.method, asked.path, asked.query))
        if api.away:
            return 503, {"error_message": "away"}
        if api.token is not None and asked.headers.get("Authorization") != f"Bearer {api.token}":
            return 401, {"error_message": "the token is none of ours"}
        if not asked.path.startswith(BASE):
            return 404, {"error_message": "no such address"}
        path = asked.path.removeprefix(BASE)
        return (200, looked(api, path, asked.query)) if asked.method == "GET" else posted(api, path, asked)

    with answering(answer) as api.host:
        yield api


def posted(api: Api, path: str, asked: Asked) -> tuple[int, Any] | None:
    """What a POST is told; `None`: it is done, and the connection cut."""
    kind = "versions" if path.endswith("upload_version") else path.strip("/")
    if kind in api.refuse:
        status, message = api.refuse[kind]
        return status, {"error_message": message}
    if api.busy.get(kind, 0):
        api.busy[kind] -= 1
        return 503, {"error_message": "busy"}
    if kind == "versions":
        told = {"display_name": asked.query["name"], "pipeline_id": asked.query["pipelineid"]}
        told["package"] = part(asked.headers["Content-Type"], asked.body)
    else:
        told = asked.json
    if told.get("namespace") and not api.multi_user:
        return 400, {"error_message": "in single-user mode a request has no namespace"}
    made = api.make(kind, told)
    if api.cut.get(kind, 0):
        api.cut[kind] -= 1
        return None
    return 200, {key: value for key, value in made.items() if key != "package"}


def looked(api: Api, path: str, query: dict[str, str]) -> dict[str, Any]:
    """What a GET is told."""
    if path == "/healthz":
        return {"multi_user": api.multi_user}
    if versions := re.fullmatch(r"/pipelines/([^/]+)/versions", path):
        found = api.find("versions", query, pipeline_id=versions[1])
        return {"pipeline_versions": [{key: one[key] for key in one if key != "package"} for one in found]}
    kind = path.strip("/")
    return {KINDS[kind][1]: api.find(kind, query)}


def part(kind: str, body: bytes) -> str:
    """The file of a multipart body."""
    message = message_from_bytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + body)
    (one,) = message.get_payload()  # type: ignore[misc]
    return bytes(one.get_payload(decode=True)).decode()  # type: ignore[union-attr]
