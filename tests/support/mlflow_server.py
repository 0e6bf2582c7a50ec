"""An MLflow server of the tests' own on 127.0.0.1: SQLite behind it, artifacts through it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.services import free_port

START_SECONDS = 300


@contextmanager
def mlflow_server(folder: Path, schema: Path) -> Iterator[str]:
    """Its address; it ends with the block.

    Args:
        folder: of its own, which is made.
        schema: an MLflow database of this version, of which it begins with a copy: to make one takes seconds.
    """
    folder.mkdir()
    shutil.copyfile(schema, folder / "mlflow.db")
    port = free_port()
    places = [
        "--backend-store-uri",
        f"sqlite:///{folder / 'mlflow.db'}",
        "--artifacts-destination",
        str(folder / "kept"),
    ]
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    log = folder / "log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [*command, *places], stdout=stream, stderr=subprocess.STDOUT, env=os.environ | quiet, cwd=folder
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while True:
            assert process.poll() is None, log.read_text()
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=60):
                    break
            except OSError:  # refused, or cut off, or no answer yet
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=300)
