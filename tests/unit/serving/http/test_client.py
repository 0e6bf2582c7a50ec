"""What a server's caller gets: the answer, the server's own sentence, or why it is away."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from serving.http.client import AsyncClient, AwayError, Client, RefusedError

ANSWERS = {
    "/good": (200, b'{"a": 1}'),
    "/refused": (422, b'{"error": "cycles: 0; give more"}'),
    "/silent": (500, b"<html>"),
    "/list": (404, b"[]"),
    "/page": (200, b"<html>"),
}


DONE = threading.Event()
"""Lets go of the requests that are never answered."""


class Handler(BaseHTTPRequestHandler):
    heard: list[tuple[str, str, str | None, bytes]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        self.heard.append((self.command, self.path, self.headers.get("authorization"), body))
        if self.path == "/never":
            DONE.wait(300)
            return
        status, content = ANSWERS.get(self.path.partition("?")[0], (200, b"{}"))
        self.send_response(status)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@pytest.fixture
def server() -> Iterator[tuple[str, list[Any]]]:
    heard: list[Any] = []
    kind = type("Heard", (Handler,), {"heard": heard})
    made = ThreadingHTTPServer(("127.0.0.1", 0), kind)
    thread = threading.Thread(target=made.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    DONE.clear()
    yield f"http://127.0.0.1:{made.server_port}/", heard
    DONE.set()
    made.shutdown()
    made.server_close()
    thread.join()


def test_an_answer_is_its_json(server: tuple[str, list[Any]]) -> None:
    url, heard = server
    assert Client(url, "secret").ask("POST", ["good"], body={"b": 2}, query={"reason": "a b"}) == {"a": 1}
    assert Client(url).ask("GET", ["campaigns", "a/b é"]) == {}
    assert heard[0][:3] == ("POST", "/good?reason=a+b", "Bearer secret")
    assert json.loads(heard[0][3]) == {"b": 2}
    assert heard[1] == ("GET", "/campaigns/a%2Fb%20%C3%A9", None, b"")


@pytest.mark.parametrize(
    ("path", "status", "sentence", "message"),
    [
        ("refused", 422, "cycles: 0; give more", "cycles: 0; give more"),
        ("silent", 500, None, "status 500"),
        ("list", 404, None, "status 404"),
    ],
)
def test_a_refusal_is_the_servers_own_sentence(
    server: tuple[str, list[Any]], path: str, status: int, sentence: str | None, message: str
) -> None:
    with pytest.raises(RefusedError) as refused:
        Client(server[0]).ask("GET", [path])
    assert (refused.value.status, refused.value.sentence, str(refused.value)) == (status, sentence, message)


def test_what_cannot_be_reached_is_away(server: tuple[str, list[Any]]) -> None:
    with pytest.raises(AwayError, match="status 200 without JSON"):
        Client(server[0]).ask("GET", ["page"])
    with pytest.raises(AwayError, match=r"refused|connect"):
        Client("http://127.0.0.1:1").ask("GET", ["good"])
    with pytest.raises(AwayError, match=r"\w"):
        Client("http://[").ask("GET", ["good"])


def test_an_answer_is_waited_for_so_many_seconds(server: tuple[str, list[Any]]) -> None:
    async def ask() -> None:
        client = AsyncClient(seconds=0.05)
        with pytest.raises(AwayError, match=r"timed out|Timeout"):
            await client.post(f"{server[0]}never", {})
        await client.close()

    with pytest.raises(AwayError, match=r"timed out|Timeout"):
        Client(server[0], seconds=0.05).ask("POST", ["never"])
    asyncio.run(ask())


def test_from_an_event_loop_the_same(server: tuple[str, list[Any]]) -> None:
    url, heard = server

    async def ask() -> Any:
        client = AsyncClient("secret", 60)
        answer = await client.post(f"{url}good", {"b": 2})
        with pytest.raises(RefusedError, match="give more"):
            await client.post(f"{url}refused", {})
        with pytest.raises(AwayError, match=r"\w"):
            await client.post("http://127.0.0.1:1/", {})
        await client.close()
        return answer

    assert asyncio.run(ask()) == {"a": 1}
    assert heard[0][:3] == ("POST", "/good", "Bearer secret")
