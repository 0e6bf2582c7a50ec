"""One way for a process to listen: its socket, whom it lets in without a token, and its end on SIGTERM."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import Any, NoReturn

from crossmix.config import ConfigError

WAITING = 2_048
"""Connections that the system keeps for a process that is busy."""


def is_loopback(address: str) -> bool:
    """Whether only this machine reaches an address to bind."""
    if address == "localhost":
        return True
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


@lru_cache(maxsize=256)
def names_this_machine(host: str) -> bool:
    """Whether a Host header, or an Origin without its scheme, names this machine.

    Any other may be a page's own name for it (DNS rebinding).
    """
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    return is_loopback(name.strip("[]"))


def bound(host: str, port: int) -> socket.socket:
    """A socket that listens; port 0: a free one.

    Raises:
        ConfigError: the address cannot be bound.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # By its protocol's number, or the event loop leaves Nagle's algorithm on: 40 ms an answer (measured).
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(WAITING)
    except OSError as error:
        listener.close()
        raise ConfigError(f"--port {port}: it cannot be bound on {host} ({error.strerror}); name another") from None
    listener.set_inheritable(True)
    return listener


@contextmanager
def ends_at_once() -> Iterator[None]:
    """SIGTERM ends the process at once while the block runs, before `serve` takes it over.

    A container's first process would not hear it: the system gives it no default. To be used on the main thread.
    """
    before = signal.signal(signal.SIGTERM, lambda *_: leave(128 + signal.SIGTERM))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def leave(status: int = 0) -> NoReturn:
    """End the process now, whatever its threads wait for: the interpreter's own end waits for those of pools, as of a
    download that does not come."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # nobody reads it any more
            stream.flush()
    os._exit(status)


async def serve(app: Any, listener: socket.socket, grace_seconds: int) -> None:
    """Serve until SIGTERM or SIGINT; what is under way then has so long to finish."""
    import uvicorn

    class Server(uvicorn.Server):
        """Ends in peace: uvicorn's own raises the signal again, before what waits is written."""

        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, self.handle_exit, number, None)
            try:
                yield
            finally:
                for number in (signal.SIGTERM, signal.SIGINT):
                    loop.remove_signal_handler(number)

    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=grace_seconds,
        lifespan="off",
    )
    await Server(config).serve(sockets=[listener])
