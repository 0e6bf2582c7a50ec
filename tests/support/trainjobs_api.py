"""Kubernetes' API for TrainJobs on 127.0.0.1, in memory, as far as freeing them asks of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

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

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

        def do_GET(self) -> None:
            self.told(parse_qs(urlsplit(self.path).query)["labelSelector"][0])

        def do_DELETE(self) -> None:
            self.told("")

        def told(self, selector: str) -> None:
            path = urlsplit(self.path).path
            jobs.asked.append((self.command, path))
            if jobs.busy:
                jobs.busy -= 1
                self.answer(503, {})
            elif self.command == "GET":
                key, _, value = selector.partition("=")
                found = [name for name, labels in jobs.labels.items() if labels.get(key) == value]
                self.answer(200, {"items": [{"metadata": {"name": name}} for name in found]})
            elif (name := path.removeprefix(f"{PATH}/")) in jobs.gone:
                self.answer(404, {})
            else:
                del jobs.labels[name]
                self.answer(200, {})

        def answer(self, status: int, told: dict[str, Any]) -> None:
            content = json.dumps(told).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    from kubernetes import client

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    settings = client.Configuration()
    settings.host = f"http://127.0.0.1:{server.server_port}"
    try:
        with client.ApiClient(settings) as made:
            yield client.CustomObjectsApi(made)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
