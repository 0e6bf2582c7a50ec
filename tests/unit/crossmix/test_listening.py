"""Whom a process lets in without a token, its socket, and its end."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from typing import Any

import pytest

from crossmix import listening
from crossmix.config import ConfigError


@pytest.mark.parametrize(
    ("host", "here"),
    [
        ("localhost", True),
        ("localhost:8080", True),
        ("127.0.0.1:8080", True),
        ("127.8.9.1", True),
        ("[::1]:8080", True),
        ("10.0.0.7:8080", False),
        ("localhost.example:8080", False),
        ("127.0.0.1.example", False),
        ("example:80", False),
        ("", False),
    ],
)
def test_a_host_header_names_this_machine_or_it_does_not(host: str, here: bool) -> None:
    assert listening.names_this_machine(host) is here


def test_an_address_to_bind_has_no_port() -> None:
    addresses = ("localhost", "127.0.0.1", "::1", "0.0.0.0", "::", "box")
    assert [listening.is_loopback(one) for one in addresses] == [True, True, True, False, False, False]


def test_a_socket_answers_at_once_and_a_taken_port_is_a_sentence() -> None:
    with listening.bound("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        # Event loops turn Nagle's algorithm off for sockets that say that they are TCP's.
        assert first.proto == socket.IPPROTO_TCP
        with pytest.raises(
            ConfigError, match=rf"^--port {port}: it cannot be bound on 127\.0\.0\.1 \(.*\); name another$"
        ):
            listening.bound("127.0.0.1", port)


def test_it_ends_in_peace() -> None:
    """After SIGTERM `serve` returns, and what was under way has its answer: the signal kills nobody."""
    asked, free = asyncio.Event(), asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        asked.set()
        await free.wait()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
        await send({"type": "http.response.body", "body": b"done"})

    async def story() -> bytes:
        listener = listening.bound("127.0.0.1", 0)
        served = asyncio.create_task(listening.serve(app, listener, 20))
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        writer.write(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        await asked.wait()
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(0)
        free.set()
        said = await reader.read()
        writer.close()
        await served
        return said

    said = asyncio.run(asyncio.wait_for(story(), 60))
    assert said.startswith(b"HTTP/1.1 200 OK")
    assert said.endswith(b"done")


STARTS = """
import sys, threading, time
from concurrent.futures import ThreadPoolExecutor
from crossmix import listening
never = threading.Event()
with ThreadPoolExecutor(1) as pool:
    pool.submit(never.wait)  # a download that does not come; the interpreter would wait for it
    if sys.argv[1] == "leave":
        print("done")
        listening.leave(3)
    with listening.ends_at_once():
        print("starts", flush=True)
        never.wait()
"""


def _begun(how: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", STARTS, how], stdout=subprocess.PIPE, text=True)


def test_a_process_that_still_starts_ends_on_sigterm_whatever_its_threads_wait_for() -> None:
    with _begun("start") as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "starts\n"
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=300) == 128 + signal.SIGTERM
        finally:
            process.kill()


def test_leaving_waits_for_no_thread_and_loses_no_line() -> None:
    with _begun("leave") as process:
        try:
            out, _ = process.communicate(timeout=300)
            assert (process.returncode, out) == (3, "done\n")
        finally:
            process.kill()


def test_what_sigterm_did_before_it_does_afterwards() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with listening.ends_at_once():
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before
