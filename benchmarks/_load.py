"""Load on an HTTP server: keep-alive connections of asyncio that post prepared bodies, and what it costs the server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import psutil


@dataclass(frozen=True, slots=True)
class Load:
    """What a block of requests took."""

    requests: int
    errors: int
    """Answers that are no 200, and connections that broke."""
    seconds: float
    cpu: float
    """CPU seconds of the server's process."""
    p50: float
    """Milliseconds."""
    p99: float
    """Milliseconds."""


def request(port: int, path: str, body: bytes) -> bytes:
    """An HTTP/1.1 POST as it goes over the wire."""
    head = (
        f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def load(pid: int, port: int, messages: Sequence[bytes], requests: int, concurrency: int) -> Load:
    """Send `requests` in all over `concurrency` connections, each waiting for its answer before the next."""
    process = psutil.Process(pid)
    before = process.cpu_times()
    began = time.perf_counter()
    taken, errors = asyncio.run(_all(port, messages, requests, concurrency))
    seconds = time.perf_counter() - began
    after = process.cpu_times()
    cpu = after.user + after.system - before.user - before.system
    p50, p99 = (float(x) for x in np.percentile(np.array(taken or [np.nan]) * 1e3, [50, 99]))
    return Load(requests, errors, seconds, cpu, p50, p99)


async def _all(port: int, messages: Sequence[bytes], requests: int, concurrency: int) -> tuple[list[float], int]:
    numbers = iter(range(requests))
    taken: list[float] = []
    errors = 0

    async def one() -> None:
        nonlocal errors
        connection = None
        for number in numbers:
            message = messages[number % len(messages)]
            began = time.perf_counter()
            try:
                connection = connection or await asyncio.open_connection("127.0.0.1", port)
                good = await asyncio.wait_for(_exchange(*connection, message), 30)
            except (TimeoutError, OSError, asyncio.IncompleteReadError, ValueError):
                good, connection = False, None
            taken.append(time.perf_counter() - began)
            errors += not good
        if connection is not None:
            connection[1].close()

    await asyncio.gather(*(one() for _ in range(concurrency)))
    return taken, errors


async def _exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, message: bytes) -> bool:
    writer.write(message)
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    await reader.readexactly(int(length.split(b":")[1]))
    return head.startswith(b"HTTP/1.1 200")
