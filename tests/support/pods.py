"""What every pod of ours must say, whoever makes it: a manifest, a compiled pipeline, a TrainJob."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tests.support.manifests import Document, named, of_kind

Kind = Literal["server", "job"]
UID = 10001
"""User, and group of the volumes, of every container."""
_DIGEST = re.compile(r"[a-z0-9][a-z0-9._:/-]*@sha256:[0-9a-f]{64}")
_VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
"""Kinds of volumes that the profile `restricted` of Pod Security takes."""
_SECRET = re.compile(r"SECRET|PASSWORD|TOKEN|ACCESS_KEY")


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod as a document describes it."""

    name: str
    """Kind and name of the document, and which of its pods."""
    spec: dict[str, Any]
    labels: dict[str, str]
    kind: Kind


def pods(documents: Sequence[Document]) -> list[Pod]:
    """The pods of all documents that have some; a custom resource's as what its controller makes of it."""
    return [pod for document in documents for pod in _pods(document)]


def _pods(document: Document) -> Iterator[Pod]:
    kind, name, spec = document["kind"], document["metadata"]["name"], document.get("spec", {})

    def pod(template: Mapping[str, Any], of: Kind, part: str = "") -> Pod:
        labels = template.get("metadata", {}).get("labels", {})
        return Pod(f"{kind} {name}{part and ' ' + part}", template["spec"], labels, of)

    if kind in ("Deployment", "StatefulSet"):
        yield pod(spec["template"], "server")
    if kind == "CronJob":
        yield pod(spec["jobTemplate"]["spec"]["template"], "job")
    if kind == "InferenceService":  # KServe gives the pod the labels of the InferenceService
        assert set(spec) == {"predictor"}, name
        yield pod({"metadata": document["metadata"], "spec": spec["predictor"]}, "server")
    if kind == "TrainingRuntime":
        for job in spec["template"]["spec"]["replicatedJobs"]:
            yield pod(job["template"]["spec"]["template"], "job", job["name"])
    if kind == "SparkApplication":  # Spark puts its own image into the first container
        for part in ("driver", "executor"):
            template = spec[part]["template"]
            first, *rest = template["spec"]["containers"]
            containers = [first | {"image": spec[part].get("image", spec["image"])}, *rest]
            account = {"serviceAccountName": spec[part]["serviceAccount"]}
            yield pod(template | {"spec": template["spec"] | {"containers": containers} | account}, "job", part)


def trainjob_pods(job: Document, documents: Sequence[Document]) -> list[Pod]:
    """The pods of a posted TrainJob: its TrainingRuntime's, with what the job says in place of that.

    As Kubeflow Trainer builds them: image, command, arguments and the whole of `resources` of the container `node`.
    """
    told = job["spec"]["trainer"]
    (made,) = _pods(named(list(documents), job["spec"]["runtimeRef"]["kind"], job["spec"]["runtimeRef"]["name"]))
    own = {key: told[key] for key in ("image", "command", "args") if key in told}
    if "resourcesPerNode" in told:
        own["resources"] = told["resourcesPerNode"]
    containers = [
        {**one, **own, "env": [*one.get("env", ()), *told.get("env", ())]} if one["name"] == "node" else one
        for one in made.spec["containers"]
    ]
    return [Pod(f"TrainJob {job['metadata']['name']}", {**made.spec, "containers": containers}, made.labels, "job")]


def pod_faults(
    spec: Mapping[str, Any],
    *,
    kind: Kind = "job",
    labels: Mapping[str, str] | None = None,
    documents: Sequence[Document] | None = None,
) -> list[str]:
    """What of a PodSpec does not hold; none: it is fit for our namespace.

    Args:
        kind: a server has probes.
        labels: the pod's; needed with `documents`.
        documents: manifests that the pod runs beside: its account, what is bound to it, the policies that select it.
    """
    faults = [*_whole(spec)]
    for group in ("initContainers", "containers"):
        for container in spec.get(group, ()):
            where = f"{group}.{container['name']}"
            faults += [f"{where}.{fault}" for fault in _container(container, spec)]
            if kind == "server" and group == "containers":
                missing = [name for name in ("readinessProbe", "livenessProbe") if not container.get(name)]
                faults += [f"{where}.{name}: a server has one" for name in missing]
    if documents is not None:
        faults += [*_account(spec, documents), *_selected(labels or {}, documents)]
    return faults


def _whole(spec: Mapping[str, Any]) -> Iterator[str]:
    for name in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(name):
            yield f"{name}: the node's own"
    security = spec.get("securityContext") or {}
    if security.get("fsGroup") != UID:
        yield f"securityContext.fsGroup: is not {UID}"
    if security.get("sysctls"):
        yield "securityContext.sysctls: are set"
    for volume in spec.get("volumes", ()):
        (kind,) = set(volume) - {"name"}
        if kind not in _VOLUMES:
            yield f"volumes.{volume['name']}: {kind} is not taken"
        if kind == "secret" and volume["secret"].get("defaultMode", 0o644) & 0o007:
            yield f"volumes.{volume['name']}: others may read it"


def _container(container: Mapping[str, Any], spec: Mapping[str, Any]) -> Iterator[str]:
    if not _DIGEST.fullmatch(container.get("image", "")):
        yield f"image: {container.get('image')!r} is no digest"
    security = container.get("securityContext") or {}
    if security.get("allowPrivilegeEscalation") is not False:
        yield "securityContext.allowPrivilegeEscalation: is not false"
    if security.get("readOnlyRootFilesystem") is not True:
        yield "securityContext.readOnlyRootFilesystem: is not true"
    capabilities = security.get("capabilities") or {}
    if "ALL" not in capabilities.get("drop", ()) or set(capabilities.get("add", ())) - {"NET_BIND_SERVICE"}:
        yield "securityContext.capabilities: not all are dropped"
    if security.get("privileged"):
        yield "securityContext.privileged: is true"
    whole = {**(spec.get("securityContext") or {}), **security}  # what a container says holds before what its pod says
    if whole.get("runAsNonRoot") is not True:
        yield "securityContext.runAsNonRoot: is not true"
    if whole.get("runAsUser") != UID:
        yield f"securityContext.runAsUser: is not {UID}"
    if (whole.get("seccompProfile") or {}).get("type") not in ("RuntimeDefault", "Localhost"):
        yield "securityContext.seccompProfile: is not RuntimeDefault"
    if any(port.get("hostPort") for port in container.get("ports", ())):
        yield "ports: one is the node's"
    resources = container.get("resources") or {}
    for group, names in (("requests", ("cpu", "memory")), ("limits", ("memory",))):
        yield from (f"resources.{group}.{name}: is missing" for name in names if not resources.get(group, {}).get(name))
    empty = {volume["name"] for volume in spec.get("volumes", ()) if "emptyDir" in volume}
    mounts = {mount["mountPath"]: mount["name"] for mount in container.get("volumeMounts", ())}
    if mounts.get("/tmp") not in empty:
        yield "volumeMounts: /tmp is no emptyDir"
    for variable in container.get("env", ()):
        if "value" in variable and _SECRET.search(variable["name"]):
            yield f"env.{variable['name']}: a secret by value"


def _account(spec: Mapping[str, Any], documents: Sequence[Document]) -> Iterator[str]:
    name = spec.get("serviceAccountName")
    accounts = [document["metadata"]["name"] for document in documents if document["kind"] == "ServiceAccount"]
    if name not in accounts:
        yield f"serviceAccountName: {name!r} is none of {', '.join(accounts)}"
    if name not in bound(documents) and spec.get("automountServiceAccountToken") is not False:
        yield f"automountServiceAccountToken: is not false, and no Role is bound to {name}"


def bound(documents: Sequence[Document]) -> set[str]:
    """ServiceAccounts that a Role is bound to."""
    bindings = of_kind(list(documents), "RoleBinding", "ClusterRoleBinding")
    return {subject["name"] for binding in bindings for subject in binding["subjects"]}


def _selected(labels: Mapping[str, str], documents: Sequence[Document]) -> Iterator[str]:
    from tests.support.flows import selects

    policies = [document["spec"] for document in documents if document["kind"] == "NetworkPolicy"]
    denied = [policy for policy in policies if not policy["podSelector"] and not {"ingress", "egress"} & set(policy)]
    if not any(set(policy["policyTypes"]) == {"Ingress", "Egress"} for policy in denied):
        yield "no NetworkPolicy denies what is not named"
    if not any(policy["podSelector"] and selects(policy["podSelector"], labels) for policy in policies):
        yield f"labels {dict(labels)}: no NetworkPolicy selects them"
