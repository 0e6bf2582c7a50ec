"""pipelines/spark_pod.py: what Spark's driver and executors are started with in our image."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.spark_pod import TOLD, PodError, command

ROOT = Path(__file__).resolve().parents[3]
SPARK = Path("/site/pyspark")
EXECUTOR = {
    "SPARK_DRIVER_URL": "spark://CoarseGrainedScheduler@ingest-driver-svc.crossmix.svc:7078",
    "SPARK_EXECUTOR_ID": "3",
    "SPARK_EXECUTOR_CORES": "4",
    "SPARK_EXECUTOR_MEMORY": "12g",
    "SPARK_APPLICATION_ID": "spark-1",
    "SPARK_EXECUTOR_POD_IP": "10.0.0.3",
    "SPARK_RESOURCE_PROFILE_ID": "0",
    "SPARK_EXECUTOR_POD_NAME": "ingest-exec-3",
    "SPARK_CONF_DIR": "/opt/spark/conf",
    "SPARK_JAVA_OPT_10": "-Dc",
    "SPARK_JAVA_OPT_9": "-Db=1 2",
    "SPARK_JAVA_OPT_0": "-Da",
}


def test_a_driver_is_spark_submit_in_client_mode_at_its_own_address() -> None:
    given = ["driver", "--properties-file", "/opt/spark/conf/spark.properties", "local:///opt/crossmix/ingest.py"]
    assert command(given, {"SPARK_DRIVER_BIND_ADDRESS": "10.0.0.2"}, SPARK, "/bin/java") == [
        "/site/pyspark/bin/spark-submit",
        "--conf",
        "spark.driver.bindAddress=10.0.0.2",
        "--conf",
        "spark.executorEnv.SPARK_DRIVER_POD_IP=10.0.0.2",
        "--deploy-mode",
        "client",
        *given[1:],
    ]


def test_an_executor_is_a_jvm_with_what_the_driver_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert command(["executor"], EXECUTOR, SPARK, "/bin/java") == [
        "/bin/java", "-Da", "-Db=1 2", "-Dc", "-Xms12g", "-Xmx12g",
        "-cp", f"/opt/spark/conf:/site/pyspark/jars/*:{tmp_path}",
        "org.apache.spark.scheduler.cluster.k8s.KubernetesExecutorBackend",
        "--driver-url", "spark://CoarseGrainedScheduler@ingest-driver-svc.crossmix.svc:7078",
        "--executor-id", "3", "--cores", "4", "--app-id", "spark-1", "--hostname", "10.0.0.3",
        "--resourceProfileId", "0", "--podName", "ingest-exec-3",
    ]  # fmt: skip
    more = EXECUTOR | {"SPARK_EXTRA_CLASSPATH": "/jars/hadoop-aws.jar"}
    told = command(["executor"], more, SPARK, "/bin/java")
    assert told[told.index("-cp") + 1] == f"/opt/spark/conf:/site/pyspark/jars/*:/jars/hadoop-aws.jar:{tmp_path}"


@pytest.mark.parametrize("name", [*TOLD.values(), "SPARK_EXECUTOR_MEMORY"])
def test_a_variable_that_is_missing_is_named(name: str) -> None:
    without = {key: value for key, value in EXECUTOR.items() if key != name}
    with pytest.raises(
        PodError, match=rf"^{name}: not set; only Spark on Kubernetes starts a pod as its driver or exe"
    ):
        command(["executor"], without, SPARK, "/bin/java")


def test_a_driver_without_an_address_or_a_role_is_told() -> None:
    with pytest.raises(PodError, match=r"^SPARK_DRIVER_BIND_ADDRESS: not set"):
        command(["driver"], {"SPARK_DRIVER_BIND_ADDRESS": ""}, SPARK, "/bin/java")
    with pytest.raises(PodError, match=r"^arguments: none; Spark on Kubernetes starts the image as 'driver \.\.\.'"):
        command([], {}, SPARK, "/bin/java")


def started(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The module as the image starts it, with a PySpark whose spark-submit says how it was called."""
    programs = tmp_path / "site" / "pyspark" / "bin"
    programs.mkdir(parents=True)
    (programs.parent / "__init__.py").touch()
    for file in (programs / "spark-submit", tmp_path / "java"):
        file.write_text('#!/bin/sh\nprintf "%s\\n" "$SPARK_HOME" "$@"\n')
        file.chmod(0o755)
    environment = {
        "PATH": f"{tmp_path}:/usr/bin:/bin",
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(tmp_path / "site")]),
        "SPARK_DRIVER_BIND_ADDRESS": "10.0.0.2",
    }
    return subprocess.run(
        [sys.executable, "-m", "pipelines.spark_pod", *arguments],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_process_becomes_what_it_starts(tmp_path: Path) -> None:
    done = started(tmp_path, "driver", "local:///opt/crossmix/ingest.py")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert (lines[0], lines[-1]) == (str(tmp_path / "site" / "pyspark"), "local:///opt/crossmix/ingest.py")
    assert lines[2] == "spark.driver.bindAddress=10.0.0.2"


def test_any_other_command_is_run_as_it_is(tmp_path: Path) -> None:
    assert started(tmp_path, "echo", "executor", "it is").stdout == "executor it is\n"


def test_what_is_missing_ends_with_a_sentence(tmp_path: Path) -> None:
    done = started(tmp_path, "executor")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("crossmix-spark: SPARK_EXECUTOR_MEMORY: not set; only Spark on Kubernetes")
