"""What the manifests start: commands and options that there are, on the ports that they name."""

from __future__ import annotations

import re
import shlex
from typing import Any

import pytest
import typer

from pipelines.cli.main import app
from tests.support.manifests import Document, named
from tests.support.pods import pods

SERVED = [("policy", True), ("control", True), ("router", True), ("pusher", False), ("feedback", False)]
KINDS = ["journey", "creators"]


def started(documents: list[Document], pod: str) -> list[str]:
    """Command and arguments of the first container, with what the shell makes of a script's lines."""
    (found,) = (one for one in pods(documents) if one.name == pod)
    container = found.spec["containers"][0]
    return [*container["command"], *container.get("args", ())]


def unknown(words: list[str]) -> list[str]:
    """Options of a `crossmix` command line that the command does not have."""
    assert words[0] == "crossmix"
    command: Any = typer.main.get_command(app)
    rest = words[1:]
    while hasattr(command, "commands"):
        command, rest = command.commands[rest[0]], rest[1:]
    options = {option for parameter in command.params for option in parameter.opts}
    given = [word.partition("=")[0] for word in rest if word.startswith("--")]
    return [option for option in given if option not in options]


@pytest.mark.parametrize(("role", "kserve"), [*SERVED, *((kind, True) for kind in KINDS)])
def test_servers(builds: dict[str, list[Document]], role: str, kserve: bool) -> None:
    words = started(builds["all"], f"{'InferenceService' if kserve else 'Deployment'} {role}")
    assert f"--role={role}" in words
    assert unknown(words) == []


def test_predictors_of_other_kinds_are_of_kinds_that_are_served(builds: dict[str, list[Document]]) -> None:
    """One a kind, of its model's name; each takes a champion of the registry and neither database nor Redis."""
    from serving.app import ALONE
    from serving.kinds.known import KNOWN

    assert sorted(KINDS) == sorted(KNOWN) == sorted(ALONE)
    for kind in KINDS:
        service = named(builds["all"], "InferenceService", kind)
        (container,) = service["spec"]["predictor"]["containers"]
        assert container["readinessProbe"]["httpGet"]["path"] == "/v2/health/ready"
        assert [one["name"] for one in container["env"]] == ["OMP_NUM_THREADS"]
        assert "--registry=$(MLFLOW_TRACKING_URI)" in container["args"]
        assert service["metadata"]["annotations"]["serving.kserve.io/autoscalerClass"] == "hpa"


def test_webhook(builds: dict[str, list[Document]]) -> None:
    words = started(builds["cluster"], "Deployment webhook")
    assert unknown(words) == []
    (port,) = named(builds["cluster"], "Service", "webhook")["spec"]["ports"]
    assert f"--port={port['port']}" in words


def test_monitor(builds: dict[str, list[Document]]) -> None:
    """Each line of its script; the target is one that the config takes, at the webhook's Service."""
    from crossmix.config import load
    from monitoring.targets import destinations

    shell, flags, script = started(builds["cluster"], "CronJob monitor")
    assert (shell, flags) == ("sh", "-euc")
    assigned, *lines = script.strip().splitlines()
    for line in lines:
        assert unknown(shlex.split(line.partition(" || ")[0])) == [], line
    assert [line.split()[2] for line in lines] == ["look", "outbox"]
    (target,) = shlex.split(assigned.partition("=")[2])
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("CROSSMIX_WEBHOOK_SECRET", "whsec_" + "A" * 32)
        config = load("laptop", [target])
        assert len(destinations(config)) == 1
    assert config.alerts.targets["webhook"]["url"] == "http://webhook:8090/alerts"


def test_probes_ask_for_what_needs_no_token(builds: dict[str, list[Document]]) -> None:
    from serving.http.access import OPEN

    paths = {
        container[probe]["httpGet"]["path"]
        for pod in pods(builds["all"])
        if pod.labels["app.kubernetes.io/name"] in {*KINDS, *(role for role, _ in SERVED)}
        for container in pod.spec["containers"]
        for probe in ("startupProbe", "readinessProbe", "livenessProbe")
    }
    assert paths <= OPEN
    assert paths == {"/healthz", "/v2/health/ready"}


def test_spark_runs_the_pinned_version_of_the_step(builds: dict[str, list[Document]]) -> None:
    from tests.support.manifests import ROOT

    spec = named(builds["all"], "SparkApplication", "ingest")["spec"]
    pin = re.search(r"^pyspark==(.*)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert pin is not None
    assert spec["sparkVersion"] == pin[1]
    program = named(builds["all"], "ConfigMap", "crossmix-ingest-program")["data"]["ingest.py"]
    mounts = {
        mount["name"]: mount["mountPath"]
        for mount in spec["driver"]["template"]["spec"]["containers"][0]["volumeMounts"]
    }
    assert spec["mainApplicationFile"] == f"local://{mounts['program']}/ingest.py"
    assert f"{mounts['config']}/config.json" in program
    assert f'"{mounts["store"]}")' in program
    ports = {int(value) for key, value in spec["sparkConf"].items() if key.endswith(".port")}
    policy = named(builds["all"], "NetworkPolicy", "spark-from")["spec"]["ingress"][0]["ports"]
    assert ports == {entry["port"] for entry in policy}
