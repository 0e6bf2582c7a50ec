"""What Kubeflow Pipelines makes of a compiled pipeline: its steps' pods, to be held to what every pod must say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tests.support.manifests import Document
from tests.support.pods import Pod, pod_faults

BY_ITSELF = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}
"""Set on the container of every step by KFP 2.16 (its argocompiler/security_context.go)."""
CANNOT = ("securityContext.fsGroup", "containers.main.securityContext.readOnlyRootFilesystem")
"""What no pipeline can ask KFP 2.17 for: its SecurityContext has user, group and non-root."""
_KNOWN = {
    "activeDeadlineSeconds", "configMapAsEnv", "emptyDirMounts", "fieldPathAsEnv", "imagePullPolicy", "imagePullSecret",
    "nodeSelector", "podMetadata", "pvcMount", "secretAsEnv", "securityContext", "tolerations",
}  # fmt: skip
_RESOURCES = {
    ("requests", "cpu"): "resourceCpuRequest",
    ("requests", "memory"): "resourceMemoryRequest",
    ("limits", "memory"): "resourceMemoryLimit",
}


def executor_pods(ir: Iterable[Document | None], account: str) -> list[Pod]:
    """The pods of a compiled pipeline's steps.

    Args:
        ir: its documents: the pipeline, and what of Kubernetes it asks for.
        account: the run's ServiceAccount.
    """
    pipeline, *platform = [document for document in ir if document]
    asked = platform[0]["platforms"]["kubernetes"]["deploymentSpec"]["executors"] if platform else {}
    executors = pipeline["deploymentSpec"]["executors"]
    return [_pod(name, one["container"], asked.get(name, {}), account) for name, one in executors.items()]


def executor_faults(pod: Pod, documents: Sequence[Document]) -> list[str]:
    """`pod_faults` of a step's pod, without what no pipeline can ask for."""
    faults = pod_faults(pod.spec, kind=pod.kind, labels=pod.labels, documents=documents)
    return [fault for fault in faults if not fault.startswith(CANNOT)]


def _pod(name: str, container: Mapping[str, Any], asked: Mapping[str, Any], account: str) -> Pod:
    assert set(asked) <= _KNOWN, f"{name}: {sorted(set(asked) - _KNOWN)} is not known here"
    resources: dict[str, dict[str, str]] = {"requests": {}, "limits": {}}
    for (group, what), key in _RESOURCES.items():
        if key in container.get("resources", {}):
            resources[group][what] = container["resources"][key]
    volumes: list[dict[str, Any]] = []
    mounts = []
    for mount in asked.get("emptyDirMounts", ()):
        volumes.append({"name": mount["volumeName"], "emptyDir": {}})
        mounts.append({"name": mount["volumeName"], "mountPath": mount["mountPath"]})
    for mount in asked.get("pvcMount", ()):
        claim = mount["pvcNameParameter"]["runtimeValue"]["constant"]
        volumes.append({"name": claim, "persistentVolumeClaim": {"claimName": claim}})
        mounts.append({"name": claim, "mountPath": mount["mountPath"]})
    security = {key: int(value) if key != "runAsNonRoot" else value
        for key, value in asked.get("securityContext", {}).items()
    }  # fmt: skip
    main = {
        "name": "main",
        "image": container["image"],
        "env": container.get("env", []),
        "resources": resources,
        "volumeMounts": mounts,
        "securityContext": {**BY_ITSELF, **security},
    }
    spec = {"serviceAccountName": account, "volumes": volumes, "containers": [main]}
    return Pod(name, spec, asked.get("podMetadata", {}).get("labels", {}), "job")
