"""A server on 127.0.0.1 whose answers a test makes: what every API that tests play stands on."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit


@dataclass(frozen=True, slots=True)
class Asked:
    """A request."""

    method: str
    path: str
    """Unquoted, without the query."""
    query: dict[str, str]
    """The first value of each."""
    headers: Message
    body: bytes

    @property
    def json(self) -> Any:
        """Of the body; `None`: it is empty."""
        return json.loads(self.body or b"null")


Answer = Callable[[Asked], tuple[int, Any] | None]
"""Status and content: a string goes as it is, the rest as JSON; `None` cuts the connection."""


@contextmanager
def answering(answer: Answer) -> Iterator[str]:
    """The server's address, while it answers one request at a time."""
    turn = Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            url = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(url.query).items()}
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            with turn:
                told = answer(Asked(self.command, unquote(url.path), query, self.headers, body))
            if told is None:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            status, content = told
            text = isinstance(content, str)
            data = content.encode() if text else json.dumps(content).encode()
            self.send_response(status)
            self.send_header("content-type", "text/plain" if text else "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PATCH = do_DELETE = answer

        def log_message(self, *_: Any) -> None:
            """Nothing: what was asked is for the test to keep."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
