"""One small run, and servers of it: in this process, or as `crossmix serve`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from crossmix.clock import Clock, MemoryClock, wall
from crossmix.registry.store import Registry
from serving.live.champion import Champion
from serving.live.live import Live
from tests.support import services
from tests.support.served_process import Server
from tests.support.services import Cluster, Redis, free_port
from tests.support.serving_run import Run, make

START_SECONDS = 240
"""How long a server may take to answer: a few seconds on an idle core, and many times that on a busy machine."""


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Shared: not to be changed."""
    return make(tmp_path_factory.mktemp("serving") / "out")


@pytest.fixture
def run(template: Run, tmp_path: Path) -> Run:
    """A copy of one's own; MLflow keeps absolute paths, so that its artifacts stay where they were."""
    out = Path(shutil.copytree(template.out, tmp_path / "out"))
    return Run(out, template.config, template.digests)


@pytest.fixture
def clock() -> Clock:
    """Of `live`; it stands still, so that no midnight passes, and no cycle ends, between two questions."""
    return MemoryClock(wall())


@pytest.fixture
def live(run: Run, clock: Clock) -> Iterator[Live]:
    """What a server holds, read once, without its threads."""
    own = run.out / "serving"
    champion = Champion(own, lambda: Registry.of(run.config, run.out), run.out / "bundle")
    made = Live(run.config, own, f"sqlite:///{own / 'serving.db'}", champion, run.features, clock)
    made.follow_champion()
    made.reload()
    made.refresh_states()
    yield made
    made.stop()


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Starts servers; what still runs at the end is killed."""
    started: list[Server] = []

    def start(run: Run, *arguments: str, path: str = "/v2/health/ready") -> Server:
        port, grpc_port, log = free_port(), free_port(), tmp_path / f"server{len(started)}.log"
        command = [sys.executable, "-m", "pipelines.cli.main", "serve", str(run.out), "--port", str(port)]
        with log.open("wb") as stream:
            process = subprocess.Popen(
                [*command, "--grpc-port", str(grpc_port), *arguments],
                stdout=stream,
                stderr=subprocess.STDOUT,
                env=os.environ | {"OMP_NUM_THREADS": "1"},
            )
        server = Server(process, port, grpc_port, log)
        started.append(server)
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            assert process.poll() is None, log.read_text()
            try:
                with urllib.request.urlopen(f"{server.url}{path}", timeout=60):
                    return server
            except OSError:  # refused, or cut off, or no answer yet
                time.sleep(0.2)
        raise AssertionError(f"no answer in {START_SECONDS} s: {log.read_text()}")

    yield start
    for server in started:
        if server.process.poll() is None:
            server.process.kill()
            server.process.wait()


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A PostgreSQL, shared: a test begins with what others left, or deletes it."""
    yield from services.postgres()


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    """A started Redis."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("Redis is not installed; apt-get install redis-server")
    folder = tmp_path / "redis"
    folder.mkdir()
    made = Redis(folder, program)
    made.start()
    yield made
    if made.process is not None:
        made.stop()
