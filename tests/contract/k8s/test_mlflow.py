"""The registry's server, started with the manifest's own command and arguments: it answers to its Service's name."""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.manifests import Document, named
from tests.support.services import free_port

pytestmark = pytest.mark.slow
START_SECONDS = 300
SEARCH = "/api/2.0/mlflow/experiments/search?max_results=1"


def container(documents: list[Document]) -> dict[str, Any]:
    found: dict[str, Any] = named(documents, "Deployment", "mlflow")["spec"]["template"]["spec"]["containers"][0]
    return found


def environment(documents: list[Document], folder: Path) -> dict[str, str]:
    """The manifest's, with folders of the test where the cluster has a database, a bucket and their keys."""
    values = dict(named(documents, "ConfigMap", "crossmix-environment")["data"])
    for variable in container(documents)["env"]:
        values[variable["name"]] = variable.get("value", "")
    own = {"MLFLOW_BACKEND_STORE_URI": f"sqlite:///{folder / 'mlflow.db'}", "HOME": str(folder)}
    own |= {"MLFLOW_ARTIFACTS_DESTINATION": str(folder / "bucket"), "MLFLOW_WORKERS": "1"}
    assert own.keys() <= values.keys(), "the manifest sets what is replaced here"
    return os.environ | values | own


@pytest.fixture(scope="module")
def server(builds: dict[str, list[Document]], tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of the server; everything but address, port and the places of its data is the manifest's."""
    folder = tmp_path_factory.mktemp("mlflow")
    told, port = container(builds["cluster"]), free_port()
    assert told["command"] == ["mlflow", "server"]
    ours = {"--host=0.0.0.0": "--host=127.0.0.1", "--port=5000": f"--port={port}"}
    assert ours.keys() <= set(told["args"])
    command = [sys.executable, "-m", *told["command"], *(ours.get(argument, argument) for argument in told["args"])]
    log = folder / "log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command, stdout=stream, stderr=subprocess.STDOUT, cwd=folder, env=environment(builds["cluster"], folder)
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while status(port, "/health", f"127.0.0.1:{port}") != 200:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
        yield port
    finally:
        process.terminate()
        process.wait(timeout=300)


def status(port: int, path: str, host: str, body: bytes | None = None) -> int | None:
    """Status of an answer to a request that names a host; `None`: there is none yet."""
    asked = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        asked.request("GET" if body is None else "PUT", path, body, {"Host": host})
        return asked.getresponse().status
    except (ConnectionError, TimeoutError):
        return None
    finally:
        asked.close()


def test_it_answers_to_its_services_names_and_to_no_other(builds: dict[str, list[Document]], server: int) -> None:
    service = named(builds["cluster"], "Service", "mlflow")
    (port,) = (entry["port"] for entry in service["spec"]["ports"])
    names = ["mlflow", "mlflow.crossmix", "mlflow.crossmix.svc", "mlflow.crossmix.svc.cluster.local"]
    hosts = [f"{name}:{port}" for name in names] + ["localhost:40000", "127.0.0.1:40000"]
    assert {host: status(server, SEARCH, host) for host in hosts} == dict.fromkeys(hosts, 200)
    strangers = ["evil.example", "mlflow.evil.example:5000", "mlflow.crossmix.svc.evil.example:5000"]
    assert {host: status(server, SEARCH, host) for host in strangers} == dict.fromkeys(strangers, 403)
    assert status(server, "/health", "10.1.2.3:5000") == 200, "as the kubelet's probes ask"


def test_clients_are_told_one_of_those_names(builds: dict[str, list[Document]], server: int) -> None:
    address = named(builds["cluster"], "ConfigMap", "crossmix-environment")["data"]["MLFLOW_TRACKING_URI"]
    assert status(server, SEARCH, address.removeprefix("http://")) == 200


def test_files_go_through_the_server(server: int) -> None:
    host, path = "mlflow.crossmix.svc:5000", "/api/2.0/mlflow-artifacts/artifacts/run/bundle.bin"
    assert status(server, path, host, b"kept") == 200
    assert status(server, path, host) == 200
