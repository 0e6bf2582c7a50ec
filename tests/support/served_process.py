"""`crossmix serve` in a process of its own, for the service tests."""

from __future__ import annotations

import signal
import subprocess
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx

SECONDS = 300.0
"""After which what a test waits for of a server will not come any more, however busy the machine is."""


def tick(http: httpx.Client) -> dict[str, Any]:
    """What a tick says, asked for again while it is sent away: a busy machine's database may look locked."""
    deadline = time.monotonic() + SECONDS
    while (reply := http.post("/serving/tick")).status_code == 503:
        assert time.monotonic() < deadline, reply.text
        time.sleep(0.1)
    assert reply.status_code == 200, reply.text
    done: dict[str, Any] = reply.json()
    return done


@dataclass
class Server:
    """`crossmix serve` in a process of its own, on loopback."""

    process: subprocess.Popen[bytes]
    port: int
    grpc_port: int
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @cached_property
    def http(self) -> httpx.Client:
        """Asks it, for as long as an answer takes on a busy machine."""
        return httpx.Client(base_url=self.url, timeout=SECONDS)

    def end(self, how: int = signal.SIGTERM) -> int:
        """Its exit status."""
        self.process.send_signal(how)
        return self.process.wait(timeout=SECONDS)
