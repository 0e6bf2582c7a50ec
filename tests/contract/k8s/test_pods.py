"""Every pod of every build holds what `pod_faults` asks for; each line that it asks for is missed when it is gone."""

from __future__ import annotations

import copy as copies
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.manifests import BUILDS, Document, everywhere, of_kind
from tests.support.pods import UID, Pod, pod_faults, pods

REQUIRED = {
    "spec": [
        ("securityContext",),
        ("securityContext", "runAsNonRoot"),
        ("securityContext", "runAsUser"),
        ("securityContext", "fsGroup"),
        ("securityContext", "seccompProfile"),
        ("securityContext", "seccompProfile", "type"),
        ("serviceAccountName",),
    ],
    "container": [
        ("image",),
        ("securityContext",),
        ("securityContext", "allowPrivilegeEscalation"),
        ("securityContext", "readOnlyRootFilesystem"),
        ("securityContext", "capabilities"),
        ("securityContext", "capabilities", "drop"),
        ("resources",),
        ("resources", "requests", "cpu"),
        ("resources", "requests", "memory"),
        ("resources", "limits"),
        ("resources", "limits", "memory"),
        ("volumeMounts",),
    ],
}
"""Lines that every pod, and every container, must have."""
PROBES = [("readinessProbe",), ("livenessProbe",)]
EXPECTED = {
    "cluster": {
        "Deployment mlflow", "Deployment pusher", "Deployment feedback", "Deployment webhook", "CronJob monitor",
        "InferenceService policy", "InferenceService control", "InferenceService router",
        "TrainingRuntime crossmix-torch node",
    },
    "local": {"StatefulSet postgresql", "StatefulSet redis", "StatefulSet s3"},
    "all": {
        "SparkApplication ingest driver", "SparkApplication ingest executor",
        "InferenceService journey", "InferenceService creators",
    },
}  # fmt: skip
"""Pods of a build, beyond those of the line before."""


def faults(pod: Pod, documents: list[Document]) -> list[str]:
    return pod_faults(pod.spec, kind=pod.kind, labels=pod.labels, documents=documents)


@pytest.mark.parametrize("name", BUILDS)
def test_every_pod_holds(builds: dict[str, list[Document]], name: str) -> None:
    found = pods(builds[name])
    assert {pod.name: faults(pod, builds[name]) for pod in found if faults(pod, builds[name])} == {}
    expected = EXPECTED["cluster"] | (EXPECTED["local"] if name != "cluster" else set())
    assert {pod.name for pod in found} == expected | (EXPECTED["all"] if name == "all" else set())


@pytest.mark.parametrize("name", BUILDS)
def test_no_pod_is_overlooked(builds: dict[str, list[Document]], name: str) -> None:
    """As many lists of containers as pods: a kind that `pods` does not know would have one more."""
    lists = [path for document in builds[name] for path, _ in everywhere(document) if path[-1:] == ("containers",)]
    assert len(lists) == len(pods(builds[name]))


def lines(pod: Pod, documents: list[Document]) -> Iterator[tuple[str | int, ...]]:
    """Paths in a pod's spec that must be there."""
    from tests.support.pods import bound

    yield from REQUIRED["spec"]
    if pod.spec["serviceAccountName"] not in bound(documents):
        yield ("automountServiceAccountToken",)
    for group in ("initContainers", "containers"):
        for number in range(len(pod.spec.get(group, ()))):
            yield from ((group, number, *path) for path in REQUIRED["container"])
            if pod.kind == "server" and group == "containers":
                yield from ((group, number, *path) for path in PROBES)


def without(spec: dict[str, Any], path: tuple[str | int, ...]) -> dict[str, Any]:
    """A copy whose line at `path` is gone."""
    mutated = copies.deepcopy(spec)
    inner: Any = mutated
    for key in path[:-1]:
        inner = inner[key]
    del inner[path[-1]]
    return mutated


def test_any_line_that_is_gone_is_found(builds: dict[str, list[Document]]) -> None:
    documents, tried = builds["all"], 0
    for pod in pods(documents):
        for path in lines(pod, documents):
            mutated = Pod(pod.name, without(pod.spec, path), pod.labels, pod.kind)
            assert faults(mutated, documents), (pod.name, path)
            tried += 1
        for label in ("app.kubernetes.io/name",):
            labels = {key: value for key, value in pod.labels.items() if key != label}
            assert faults(Pod(pod.name, pod.spec, labels, pod.kind), documents), (pod.name, label)
            tried += 1
    assert tried > 250


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("containers", 0, "image"), "crossmix-serve:1.0", "is no digest"),
        (("containers", 0, "image"), "crossmix-serve@sha256:unresolved", "is no digest"),
        (("containers", 0, "securityContext", "privileged"), True, "privileged: is true"),
        (("containers", 0, "securityContext", "runAsUser"), 0, f"is not {UID}"),
        (("containers", 0, "securityContext", "capabilities"), {"drop": ["ALL"], "add": ["SYS_ADMIN"]}, "not all"),
        (("containers", 0, "env", 0), {"name": "AWS_SECRET_ACCESS_KEY", "value": "x"}, "a secret by value"),
        (("containers", 0, "ports", 0, "hostPort"), 80, "ports: one is the node's"),
        (("securityContext", "runAsUser"), 0, f"is not {UID}"),
        (("hostNetwork",), True, "the node's own"),
        (("serviceAccountName",), "default", "'default' is none of"),
        (("volumes", 0), {"name": "tmp", "hostPath": {"path": "/tmp"}}, "hostPath is not taken"),
        (("volumes", 2, "secret", "defaultMode"), 0o444, "others may read it"),
    ],
)
def test_what_must_not_be_said_is_found(
    builds: dict[str, list[Document]], path: tuple[str | int, ...], value: Any, said: str
) -> None:
    documents = builds["cluster"]
    (pod,) = (pod for pod in pods(documents) if pod.name == "Deployment feedback")
    mutated = copies.deepcopy(pod.spec)
    inner: Any = mutated
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    assert [fault for fault in faults(Pod(pod.name, mutated, pod.labels, pod.kind), documents) if said in fault]


def test_what_is_beside_a_pod_counts(builds: dict[str, list[Document]]) -> None:
    documents = builds["cluster"]
    for kind, said in (("NetworkPolicy", "no NetworkPolicy selects"), ("ServiceAccount", "is none of")):
        for pod in pods(documents):
            left = [document for document in documents if document["kind"] != kind]
            assert [fault for fault in faults(pod, left) if said in fault], (kind, pod.name)
    open_to_all = [one for one in documents if one["metadata"]["name"] != "default-deny"]
    assert "no NetworkPolicy denies what is not named" in faults(pods(documents)[0], open_to_all)


def test_a_token_needs_a_role(builds: dict[str, list[Document]]) -> None:
    documents = builds["cluster"]
    spec = next(pod for pod in pods(documents) if pod.name == "Deployment feedback").spec
    given = spec | {"automountServiceAccountToken": True}
    labels = {"app.kubernetes.io/name": "feedback"}
    (fault,) = pod_faults(given, kind="server", labels=labels, documents=documents)
    assert fault == "automountServiceAccountToken: is not false, and no Role is bound to crossmix-serve"
    assert pod_faults(given | {"serviceAccountName": "crossmix-steps"}, labels=labels, documents=documents) == []


@pytest.mark.parametrize("name", BUILDS)
def test_jobs_have_no_sidecar_and_servers_one_with_istio_only(builds: dict[str, list[Document]], name: str) -> None:
    """A sidecar outlives a job, which then never ends."""
    for pod in pods(builds[name]):
        meshed = name == "all" and pod.name.startswith(("Deployment", "InferenceService"))
        assert pod.labels["sidecar.istio.io/inject"] == ("true" if meshed else "false"), pod.name


@pytest.mark.parametrize("name", BUILDS)
def test_budgets_and_services_select_one_part_each(builds: dict[str, list[Document]], name: str) -> None:
    from tests.support.flows import selects

    found = pods(builds[name])
    for document in of_kind(builds[name], "PodDisruptionBudget", "Service"):
        selector = document["spec"]["selector"]
        selector = selector if document["kind"] == "PodDisruptionBudget" else {"matchLabels": selector}
        (pod,) = (pod for pod in found if selects(selector, pod.labels))
        names = {port.get("name") for one in pod.spec["containers"] for port in one["ports"]}
        assert {port["targetPort"] for port in document["spec"].get("ports", ())} <= names, document
    budgets = {document["metadata"]["name"] for document in of_kind(builds[name], "PodDisruptionBudget")}
    servers = {pod.labels["app.kubernetes.io/name"] for pod in found if pod.kind == "server"}
    assert budgets == servers - {"postgresql", "redis", "s3"}
