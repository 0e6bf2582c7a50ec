"""Every document of every build has a schema, unknown fields refused, and passes it."""

from __future__ import annotations

import copy as copies
import json
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from tests.support.manifests import BUILDS, ROOT, SCHEMAS, Document, of_kind

KUBERNETES = "1.36"
CUSTOM = {"keda.sh", "kubeflow.org", "monitoring.coreos.com", "networking.istio.io", "security.istio.io"} | {
    "serving.kserve.io", "sparkoperator.k8s.io", "trainer.kubeflow.org",
}  # fmt: skip
"""API groups of custom resources that are in use here."""


@cache
def schema_of(api_version: str, kind: str) -> Any:
    """A custom resource's validator; skips where the schemas are not beside the project."""
    if not SCHEMAS.exists():
        pytest.skip(f"the schemas of custom resources are not in {SCHEMAS}")
    group, _, version = api_version.partition("/")
    return jsonschema.Draft202012Validator(json.loads((SCHEMAS / f"{group}_{version}_{kind}.json").read_text()))


def is_custom(document: Document) -> bool:
    return document["apiVersion"].partition("/")[0] in CUSTOM


def check(document: Document) -> None:
    """Raises what the validator raises; a document without a schema is an error, too."""
    _check(json.dumps(document))


@cache
def _check(text: str) -> None:
    """Builds share most of their documents: each is looked at once."""
    document = json.loads(text)
    if is_custom(document):
        schema_of(document["apiVersion"], document["kind"]).validate(document)
    else:
        assert kubernetes_validate.validate(document, KUBERNETES, strict=True) == KUBERNETES


@pytest.mark.parametrize("name", BUILDS)
def test_what_kubernetes_knows_passes(builds: dict[str, list[Document]], name: str) -> None:
    known = [document for document in builds[name] if not is_custom(document)]
    for document in known:
        check(document)
    assert len(known) >= {"local": 60, "cluster": 50, "all": 65}[name]


@pytest.mark.parametrize("name", BUILDS)
def test_custom_resources_pass(builds: dict[str, list[Document]], name: str) -> None:
    custom = [document for document in builds[name] if is_custom(document)]
    for document in custom:
        check(document)
    kinds = {document["kind"] for document in custom}
    assert kinds == {"InferenceService", "TrainingRuntime"} | {
        "all": {"AlertmanagerConfig", "AuthorizationPolicy", "PeerAuthentication", "PrometheusRule", "ScaledObject"}
        | {"ServiceMonitor", "SparkApplication", "VirtualService"}
    }.get(name, set())


def test_the_profile_passes() -> None:
    check(yaml.safe_load((ROOT / "k8s" / "profile.yaml").read_text()))


def test_a_field_that_is_not_known_is_found(builds: dict[str, list[Document]]) -> None:
    """In one document of each kind, beside the fields of `spec` or, where there is none, of the document."""
    if not SCHEMAS.exists():
        pytest.skip(f"the schemas of custom resources are not in {SCHEMAS}")
    kinds = {document["kind"]: document for document in builds["all"]}
    assert len(kinds) > 15
    for document in kinds.values():
        mutated = copies.deepcopy(document)
        mutated.get("spec", mutated)["replicaas"] = 1
        with pytest.raises((jsonschema.ValidationError, kubernetes_validate.ValidationError), match="replicaas"):
            check(mutated)


def test_a_kind_that_is_not_known_is_an_error() -> None:
    with pytest.raises(kubernetes_validate.SchemaNotFoundError):
        check({"apiVersion": "apps/v1", "kind": "Deploymint", "metadata": {"name": "x"}})


@pytest.mark.parametrize("name", BUILDS)
def test_names_and_references_agree(builds: dict[str, list[Document]], name: str) -> None:
    """All in one namespace, no name twice; what a budget, a Service or a monitor selects is there."""
    documents = builds[name]
    keys = [(document["kind"], document["metadata"]["name"]) for document in documents]
    assert len(set(keys)) == len(keys)
    for document in documents:
        assert document["kind"] == "Namespace" or document["metadata"]["namespace"] == "crossmix", document
    for binding in of_kind(documents, "RoleBinding"):
        assert ("Role", binding["roleRef"]["name"]) in keys
        assert all((subject["kind"], subject["name"]) in keys for subject in binding["subjects"])


def test_the_overlays_differ_only_where_they_say(builds: dict[str, list[Document]]) -> None:
    local = {(one["kind"], one["metadata"]["name"]) for one in builds["local"]}
    cluster = {(one["kind"], one["metadata"]["name"]) for one in builds["cluster"]}
    assert cluster < local
    assert {kind for kind, _ in local - cluster} == {
        "ConfigMap", "NetworkPolicy", "Service", "ServiceAccount", "StatefulSet",
    }  # fmt: skip


def test_files_of_the_base_are_all_taken_in() -> None:
    for folder in [path.parent for path in (ROOT / "k8s").rglob("kustomization.yaml") if path.parent.name != "images"]:
        listed = yaml.safe_load((folder / "kustomization.yaml").read_text())
        named = {Path(entry).name for entry in listed.get("resources", ())}
        named |= {Path(patch["path"]).name for patch in listed.get("patches", ()) if "path" in patch}
        here = {path.name for path in folder.glob("*.yaml")} - {"kustomization.yaml"}
        assert here <= named, folder
