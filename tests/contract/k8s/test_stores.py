"""Component stores: what its containers run, run here: Redis asks for its password, the bucket is made once."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import redis

from tests.support.manifests import Document, named
from tests.support.services import free_port

START_SECONDS = 300


def container(documents: list[Document], kind: str, name: str, group: str = "containers") -> dict[str, Any]:
    found: dict[str, Any] = named(documents, kind, name)["spec"]["template"]["spec"][group][0]
    return found


def test_redis_asks_for_the_password(builds: dict[str, list[Document]], tmp_path: Path) -> None:
    if shutil.which("redis-server") is None:
        pytest.skip("Redis is not installed; apt-get install redis-server")
    told, port = container(builds["local"], "StatefulSet", "redis"), free_port()
    script = told["args"][0]
    for theirs, ours in {
        "--port 6379": f"--port {port} --bind 127.0.0.1",
        "--dir /data": f"--dir {tmp_path}",
        "/tmp/redis.conf": f"{tmp_path}/redis.conf",
    }.items():
        assert theirs in script
        script = script.replace(theirs, ours)
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", told["env"][0]["name"]: "a secret of the test's"}
    log = tmp_path / "log"
    with log.open("wb") as stream:
        process = subprocess.Popen([*told["command"], script], env=environment, stdout=stream, stderr=subprocess.STDOUT)
    try:
        known = redis.Redis(port=port, password="a secret of the test's", socket_timeout=60)
        deadline = time.monotonic() + START_SECONDS
        while not answers(known):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        with pytest.raises(redis.exceptions.AuthenticationError):
            redis.Redis(port=port, socket_timeout=60).ping()
        command = Path(f"/proc/{process.pid}/cmdline").read_bytes()
        assert command.startswith(b"redis-server"), "the shell has become the server, which gets the pod's SIGTERM"
        assert b"secret" not in command
    finally:
        process.terminate()
        process.wait(timeout=300)


def answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.exceptions.ConnectionError:
        return False


def test_the_bucket_is_made_once(builds: dict[str, list[Document]], monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that MLflow writes to, at the address that MLflow asks."""
    told = container(builds["local"], "Deployment", "mlflow", "initContainers")
    environment = {one["name"]: one.get("value") for one in container(builds["local"], "Deployment", "mlflow")["env"]}
    buckets: list[str] = []
    asked: list[str] = []

    class Store:
        def list_buckets(self) -> dict[str, list[dict[str, str]]]:
            return {"Buckets": [{"Name": name} for name in buckets]}

        def create_bucket(self, **given: str) -> None:
            buckets.append(given["Bucket"])

    def client(kind: str, *, endpoint_url: str, region_name: str) -> Store:
        assert (kind, region_name) == ("s3", "us-east-1")
        asked.append(endpoint_url)
        return Store()

    made = ModuleType("boto3")
    made.client = client  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "boto3", made)
    assert told["command"] == ["python", "-c"]
    for _ in range(2):
        exec(compile(told["args"][0], "bucket", "exec"), {})
    assert [f"s3://{name}" for name in buckets] == [environment["MLFLOW_ARTIFACTS_DESTINATION"]]
    assert set(asked) == {environment["MLFLOW_S3_ENDPOINT_URL"]}


def test_the_databases_are_those_of_the_guides_secrets(builds: dict[str, list[Document]]) -> None:
    from tests.contract.k8s.test_guide import GUIDE

    first = named(builds["local"], "ConfigMap", "postgresql-first")["data"]["mlflow.sql"]
    variables = {
        one["name"]: one.get("value") for one in container(builds["local"], "StatefulSet", "postgresql")["env"]
    }
    assert (variables["POSTGRES_USER"], variables["POSTGRES_DB"]) == ("crossmix", "crossmix")
    assert first.strip() == "CREATE DATABASE mlflow OWNER crossmix;"
    for name in ("crossmix", "mlflow"):
        assert f"url=postgresql+psycopg://crossmix:$database@postgresql:5432/{name}" in GUIDE
