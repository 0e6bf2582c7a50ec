"""What a pod of the image `crossmix-spark` runs: Spark on Kubernetes starts an image as `driver ...` or `executor`.

Apache Spark's own image has a shell script for it (its repository's
`resource-managers/kubernetes/docker/src/main/dockerfiles/spark/entrypoint.sh`); PySpark, as it is installed from an
index, has Spark without that script. Any other arguments are a command, run as it is.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

EXECUTOR = "org.apache.spark.scheduler.cluster.k8s.KubernetesExecutorBackend"
OPTION = "SPARK_JAVA_OPT_"
"""Begins the variables of the executor's JVM options, which are numbered."""
TOLD = {
    "--driver-url": "SPARK_DRIVER_URL",
    "--executor-id": "SPARK_EXECUTOR_ID",
    "--cores": "SPARK_EXECUTOR_CORES",
    "--app-id": "SPARK_APPLICATION_ID",
    "--hostname": "SPARK_EXECUTOR_POD_IP",
    "--resourceProfileId": "SPARK_RESOURCE_PROFILE_ID",
    "--podName": "SPARK_EXECUTOR_POD_NAME",
}
"""The executor's arguments, and the variables by which Spark's driver tells them to the pod."""


class PodError(ValueError):
    """A pod that was not started by Spark on Kubernetes, or an image that lacks what it runs."""


def home() -> Path:
    """Where PySpark has Spark.

    Raises:
        PodError: it is not installed.
    """
    found = find_spec("pyspark")  # without importing it
    if found is None or not found.submodule_search_locations:
        raise PodError("pyspark: not installed; build the target spark of the Dockerfile (extra crossmix[spark])")
    return Path(next(iter(found.submodule_search_locations)))


def command(arguments: Sequence[str], environment: Mapping[str, str], spark: Path, java: str) -> list[str]:
    """What the pod runs.

    Args:
        arguments: of the container: `driver`, with what spark-submit takes, or `executor`; else a command.
        environment: of the container.
        spark: Spark's folder, with `bin` and `jars`.
        java: program of the JVM.

    Raises:
        PodError: there are no arguments, or a variable is missing.
    """
    if not arguments:
        raise PodError("arguments: none; Spark on Kubernetes starts the image as 'driver ...' or 'executor'")
    role, *rest = arguments
    if role == "driver":
        address = _of(environment, "SPARK_DRIVER_BIND_ADDRESS")
        told = [f"spark.driver.bindAddress={address}", f"spark.executorEnv.SPARK_DRIVER_POD_IP={address}"]
        submit = [str(spark / "bin" / "spark-submit"), *(part for one in told for part in ("--conf", one))]
        return [*submit, "--deploy-mode", "client", *rest]
    if role != "executor":
        return list(arguments)
    memory = _of(environment, "SPARK_EXECUTOR_MEMORY")
    numbered = [name for name in environment if name.startswith(OPTION)]
    options = [environment[name] for name in sorted(numbered, key=lambda name: int(name.removeprefix(OPTION)))]
    folders = [environment.get("SPARK_CONF_DIR"), f"{spark}/jars/*", environment.get("SPARK_EXTRA_CLASSPATH")]
    path = ":".join([*filter(None, folders), os.getcwd()])  # noqa: PTH109 - as Spark has it, a string
    backend = [part for name, variable in TOLD.items() for part in (name, _of(environment, variable))]
    return [java, *options, f"-Xms{memory}", f"-Xmx{memory}", "-cp", path, EXECUTOR, *backend]


def _of(environment: Mapping[str, str], name: str) -> str:
    if not (value := environment.get(name)):
        raise PodError(f"{name}: not set; only Spark on Kubernetes starts a pod as its driver or executor")
    return value


def main() -> None:
    """Become what the pod runs."""
    try:
        spark, java = home(), shutil.which("java")
        if java is None:
            raise PodError("java: not on the path; build the target spark of the Dockerfile")
        told = command(sys.argv[1:], os.environ, spark, java)
        os.execvpe(told[0], told, os.environ | {"SPARK_HOME": str(spark)})
    except (PodError, OSError) as error:
        sys.exit(f"crossmix-spark: {error}")


if __name__ == "__main__":
    main()
