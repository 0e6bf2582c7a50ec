"""Who may what: one account a job, and Roles that say no more than they must."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.manifests import BUILDS, Document, named, of_kind
from tests.support.pods import bound, pods

ACCOUNTS = {f"crossmix-{job}" for job in ("steps", "train", "deploy", "serve", "monitor", "webhook", "mlflow")}
TRAINER, CORE = "trainer.kubeflow.org", ""


def rules(documents: list[Document], role: str) -> set[tuple[str, str, str, str]]:
    """Group, resource, name (or "*") and verb of everything that a Role allows."""
    return {
        (group, resource, name, verb)
        for rule in named(documents, "Role", role)["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for name in rule.get("resourceNames", ["*"])
        for verb in rule["verbs"]
    }


def test_the_training_step_may_exactly_this(builds: dict[str, list[Document]]) -> None:
    jobs = {(TRAINER, "trainjobs", "*", verb) for verb in ("create", "get", "list", "watch", "delete")}
    assert rules(builds["cluster"], "crossmix-train") == jobs | {
        (TRAINER, "trainingruntimes", "*", "get"),
        (CORE, "pods", "*", "list"),
        (CORE, "pods/log", "*", "get"),
    }
    binding = named(builds["cluster"], "RoleBinding", "crossmix-train")
    assert [subject["name"] for subject in binding["subjects"]] == ["crossmix-train", "crossmix-deploy"]


def test_the_deploy_step_may_four_objects_by_name(builds: dict[str, list[Document]]) -> None:
    verbs = ("get", "list", "watch", "create", "patch")
    services = {(group, "inferenceservices", name, verb)
        for group in ("serving.kserve.io",) for name in ("policy", "control", "router") for verb in verbs
    }  # fmt: skip
    settings = {(CORE, "configmaps", "crossmix-settings", verb) for verb in verbs}
    assert rules(builds["cluster"], "crossmix-deploy") == services | settings
    here = {document["metadata"]["name"] for document in of_kind(builds["cluster"], "InferenceService")}
    assert here == {"policy", "control", "router"}


def test_every_step_may_what_kubeflow_asks_of_its_pod(builds: dict[str, list[Document]]) -> None:
    """No secret but the object store's by name, and nothing of other pods is changed."""
    assert rules(builds["cluster"], "crossmix-pipeline") == {
        ("argoproj.io", "workflowtaskresults", "*", "create"),
        ("argoproj.io", "workflowtaskresults", "*", "patch"),
        (CORE, "configmaps", "kfp-launcher", "get"),
        (CORE, "secrets", "mlpipeline-minio-artifact", "get"),
        (CORE, "pods", "*", "get"),
    }


def test_the_webhook_may_start_runs_of_kubeflow_and_nothing_of_kubernetes(builds: dict[str, list[Document]]) -> None:
    group = "pipelines.kubeflow.org"
    assert rules(builds["cluster"], "crossmix-webhook") == {
        (group, what, "*", verb) for what in ("experiments", "runs") for verb in ("create", "get", "list")
    }
    spec = named(builds["cluster"], "Deployment", "webhook")["spec"]["template"]["spec"]
    assert spec["automountServiceAccountToken"] is False
    (projected,) = [one["projected"]["sources"] for one in spec["volumes"] if "projected" in one]
    assert [source["serviceAccountToken"]["audience"] for source in projected] == [group]


@pytest.mark.parametrize("name", BUILDS)
def test_accounts(builds: dict[str, list[Document]], name: str) -> None:
    documents = builds[name]
    accounts = {one["metadata"]["name"]: one for one in of_kind(documents, "ServiceAccount")}
    beyond = {"cluster": set(), "local": {"crossmix-stores"}, "all": {"crossmix-stores", "crossmix-spark"}}[name]
    assert set(accounts) == ACCOUNTS | beyond
    with_token = {one for one, account in accounts.items() if account["automountServiceAccountToken"]}
    # The webhook's token is a projected one, for Kubeflow Pipelines alone.
    assert with_token == bound(documents) - {"crossmix-webhook"}
    assert with_token == {"crossmix-steps", "crossmix-train", "crossmix-deploy"} | (beyond & {"crossmix-spark"})
    kinds = {document["kind"] for document in documents}
    assert not kinds & {"ClusterRole", "ClusterRoleBinding"}, "nothing reaches beyond the namespace"
    used = {pod.spec["serviceAccountName"] for pod in pods(documents)}
    assert used == set(accounts) - {"crossmix-steps", "crossmix-deploy"}, "those two are of pipeline runs"


@pytest.mark.parametrize("name", BUILDS)
def test_no_role_has_a_wildcard(builds: dict[str, list[Document]], name: str) -> None:
    for role in of_kind(builds[name], "Role"):
        words: list[Any] = [word for rule in role["rules"] for part in rule.values() for word in part]
        assert "*" not in words, role["metadata"]["name"]


def test_the_names_are_those_of_the_example_place(builds: dict[str, list[Document]]) -> None:
    from crossmix.config.cluster import Accounts, Cluster, StoreVolume

    accounts = {one["metadata"]["name"] for one in of_kind(builds["cluster"], "ServiceAccount")}
    assert {Accounts().steps, Accounts().train, Accounts().deploy} <= accounts
    claims = [one["metadata"]["name"] for one in of_kind(builds["cluster"], "PersistentVolumeClaim")]
    assert claims == [StoreVolume().claim]
    runtimes = [one["metadata"]["name"] for one in of_kind(builds["cluster"], "TrainingRuntime")]
    assert runtimes == [Cluster.__dataclass_fields__["runtime"].default]
    (namespace,) = of_kind(builds["cluster"], "Namespace")
    assert namespace["metadata"]["name"] == Cluster.__dataclass_fields__["namespace"].default
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
