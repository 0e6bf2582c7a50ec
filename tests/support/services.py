"""A PostgreSQL and a Redis of the tests' own, on 127.0.0.1, which can be stopped and started."""

from __future__ import annotations

import contextlib
import itertools
import os
import pwd
import random
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

USER = "postgres"
PORTS = (15_000, 32_000)
"""From which servers get theirs. Outgoing connections, and who asks Linux for any port, have others (from 32,768
on): one of those could be taken before its server begins, or while it is down."""
_number = itertools.count()
_given: set[int] = set()


def free_port() -> int:
    """A port that nobody listens on; none is given twice."""
    for _ in range(1_000):
        port = random.SystemRandom().randrange(*PORTS)
        with socket.socket() as made, contextlib.suppress(OSError):
            made.bind(("127.0.0.1", port))
            if port not in _given:
                _given.add(port)
                return port
    raise AssertionError(f"no port of {PORTS} is free")


def binaries() -> Path | None:
    """Debian's newest PostgreSQL, or the one on the path."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda file: int(file.parts[-3]))
    named = shutil.which("initdb")
    return found[-1].parent if found else Path(named).parent if named else None


class Cluster:
    """A private PostgreSQL cluster."""

    def __init__(self, folder: Path, bin_: Path) -> None:
        self.folder, self.bin, self.port = folder, bin_, free_port()
        self.run("initdb", "-D", self.data, "-U", USER, "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C")

    @property
    def data(self) -> str:
        return str(self.folder / "data")

    @property
    def url(self) -> str:
        return self.database("postgres")

    def database(self, name: str) -> str:
        """URL of a database: a busy machine may take longer than a server's seconds to let somebody in."""
        return f"postgresql+psycopg://{USER}@127.0.0.1:{self.port}/{name}?connect_timeout=120"

    def run(self, program: str, *arguments: str) -> None:
        command = [str(self.bin / program), *arguments]
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            command = ["runuser", "-u", USER, "--", *command]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr

    def start(self) -> None:
        options = f"-p {self.port} -h 127.0.0.1 -k {self.folder}"
        self.run("pg_ctl", "-D", self.data, "-w", "-l", str(self.folder / "log"), "-o", options, "start")

    def stop(self) -> None:
        self.run("pg_ctl", "-D", self.data, "-w", "-m", "immediate", "stop")


def postgres() -> Iterator[Cluster]:
    """A started cluster; skips where PostgreSQL cannot run."""
    bin_ = binaries()
    if bin_ is None:
        pytest.skip("PostgreSQL is not installed; apt-get install postgresql")
    if os.geteuid() == 0 and (shutil.which("runuser") is None or not _has_user()):
        pytest.skip(f"running as root without a user {USER}, whom PostgreSQL needs; run the tests as another user")
    # Not below pytest's folder: that one is its user's alone.
    folder = Path(tempfile.mkdtemp(prefix="crossmix-postgres-"))
    if os.geteuid() == 0:
        shutil.chown(folder, USER)
    cluster = Cluster(folder, bin_)
    cluster.start()
    yield cluster
    if (folder / "data" / "postmaster.pid").exists():
        cluster.stop()
    shutil.rmtree(folder)


def new_database(cluster: Cluster) -> str:
    """URL of a database of its own in a cluster, without a table."""
    name = f"ledger{next(_number)}"
    engine = sa.create_engine(cluster.url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    engine.dispose()
    return cluster.database(name)


def _has_user() -> bool:
    return any(entry.pw_name == USER for entry in pwd.getpwall())


class Redis:
    """A private Redis server; what it holds outlives a stop."""

    def __init__(self, folder: Path, program: str) -> None:
        self.folder, self.program, self.port = folder, program, free_port()
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        options = {"port": self.port, "bind": "127.0.0.1", "dir": self.folder, "appendonly": "yes"}
        command = [self.program, *(part for name, value in options.items() for part in (f"--{name}", str(value)))]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline:
            assert self.process.poll() is None, "redis-server ended"
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=60).close()
                return
            except OSError:
                time.sleep(0.1)
        raise AssertionError("redis-server does not answer after 300 s")

    def stop(self) -> None:
        assert self.process is not None
        self.process.terminate()
        self.process.wait(timeout=300)
        self.process = None
