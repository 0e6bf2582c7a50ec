"""A Spark on this machine: two cores, four parts of every table, one session per process."""

from __future__ import annotations

import importlib.util
import os
import shutil
from typing import Any

import pytest

CONFIG = {
    "spark.master": "local[2]",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.session.timeZone": "UTC",
    # As many parts as asked, and no stage planned anew for a log that is small.
    "spark.sql.shuffle.partitions": "4",
    "spark.sql.adaptive.enabled": "false",
    # A JVM of a minute: compiling a plan takes longer than running it on so few rows.
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1",
}


def missing() -> str | None:
    """Why Spark cannot run here."""
    if importlib.util.find_spec("pyspark") is None:
        return "the extra 'spark' is not installed (make setup EXTRAS=steps,dev,bench,spark)"
    home = os.environ.get("JAVA_HOME")
    if shutil.which("java") is None and not (home and os.access(f"{home}/bin/java", os.X_OK)):
        return "no Java here (apt-get install default-jre-headless)"
    return None


def session() -> Any:
    """The session that ingest will join; skips the test where there can be none."""
    if why := missing():
        pytest.skip(why)
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.appName("tests")
    for key, value in CONFIG.items():
        builder = builder.config(key, value)
    return builder.getOrCreate()
