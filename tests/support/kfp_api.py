"""A Kubeflow Pipelines API on 127.0.0.1: what kfp's own client asks of it, in memory, and cut where a test says."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

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
    host: str = ""
    lock: Lock = field(default_factory=Lock)

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

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            pass

        def do_GET(self) -> None:
            self.handle_one(b"")

        def do_POST(self) -> None:
            self.handle_one(self.rfile.read(int(self.headers.get("Content-Length") or 0)))

        def handle_one(self, body: bytes) -> None:
            url = urlsplit(self.path)
            query = {key: values[0] for key, values in parse_qs(url.query).items()}
            with api.lock:
                api.asked.append((self.command, url.path, query))
                if api.token is not None and self.headers.get("Authorization") != f"Bearer {api.token}":
                    self.answer(401, {"error_message": "the token is none of ours"})
                elif not url.path.startswith(BASE):
                    self.answer(404, {"error_message": "no such address"})
                elif self.command == "GET":
                    self.answer(200, looked(api, url.path.removeprefix(BASE), query))
                else:
                    self.post(url.path.removeprefix(BASE), query, body)

        def post(self, path: str, query: dict[str, str], body: bytes) -> None:
            kind = "versions" if path.endswith("upload_version") else path.strip("/")
            if kind in api.refuse:
                status, message = api.refuse[kind]
                self.answer(status, {"error_message": message})
                return
            if api.busy.get(kind, 0):
                api.busy[kind] -= 1
                self.answer(503, {"error_message": "busy"})
                return
            if kind == "versions":
                told = {"display_name": query["name"], "pipeline_id": query["pipelineid"]}
                told["package"] = part(self.headers["Content-Type"], body)
            else:
                told = json.loads(body)
            if told.get("namespace") and not api.multi_user:
                self.answer(400, {"error_message": "in single-user mode a request has no namespace"})
                return
            made = api.make(kind, told)
            if api.cut.get(kind, 0):
                api.cut[kind] -= 1
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            self.answer(200, {key: value for key, value in made.items() if key != "package"})

        def answer(self, status: int, told: dict[str, Any]) -> None:
            content = json.dumps(told).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    api.host = f"http://127.0.0.1:{server.server_port}"
    try:
        yield api
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


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
