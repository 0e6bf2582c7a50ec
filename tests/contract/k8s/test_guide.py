"""docs/guides/cluster.md: its commands run as far as they can without a cluster, and it lists the rest."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from monitoring import keys
from pipelines.cli.serve import SERVED
from serving.http import access
from tests.support.manifests import ROOT, Document, everywhere, filled

GUIDE = (ROOT / "docs" / "guides" / "cluster.md").read_text(encoding="utf-8")
SECTIONS = (
    "Images",
    "Namespace",
    "Secrets",
    "Everything beside Kubeflow",
    "The first allocation",
    "Journeys and creators",
)
"""Those whose commands are run or listed here."""
THERE = "# on the cluster\n"
"""First line of a block that needs a cluster."""
SHIM = """#!/bin/sh
# What `create` would send is written down in place of being sent; `kustomize` asks nobody.
case $1 in
create) "{kubectl}" "$@" --dry-run=client -o yaml >> "{sent}" && echo --- >> "{sent}" ;;
kustomize) exec "{kubectl}" "$@" ;;
*) echo "kubectl $1: needs a cluster" >&2; exit 1 ;;
esac
"""


def blocks() -> Iterator[str]:
    for section in GUIDE.split("\n## ")[1:]:
        title, _, text = section.partition("\n")
        if title in SECTIONS:
            yield from re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the guide was followed, in one shell; sent.yaml is what `kubectl create` would have sent."""
    folder = tmp_path_factory.mktemp("guide")
    (filled(folder) / "images" / "kustomization.yaml").unlink()
    programs = folder / "bin"
    programs.mkdir()
    own = Path(sys.executable).parent
    for name, text in {
        "kubectl": SHIM.format(kubectl=own / "kubectl", sent=folder / "sent.yaml"),
        "crossmix": f'#!/bin/sh\nexec "{sys.executable}" -m pipelines.cli.main "$@"\n',
        "python": f'#!/bin/sh\nexec "{sys.executable}" "$@"\n',
    }.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    script = "set -eu\n" + "".join(block for block in blocks() if not block.startswith(THERE))
    environment = {"PATH": f"{programs}:/usr/bin:/bin", "PYTHONPATH": str(ROOT), "HOME": str(folder)}
    done = subprocess.run(
        ["sh", "-c", script], cwd=folder, env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def sent(followed: Path) -> dict[tuple[str, str], Document]:
    documents = [one for one in yaml.safe_load_all((followed / "sent.yaml").read_text()) if one is not None]
    assert {one["metadata"]["namespace"] for one in documents} == {"crossmix"}
    return {(one["kind"], one["metadata"]["name"]): one for one in documents}


def test_the_rest_is_listed() -> None:
    """Every program of a block that is not run stands in the last section, with its verb where it has several."""
    there = "".join(block for block in blocks() if block.startswith(THERE)).replace("--namespace crossmix ", "")
    used = {" ".join(found) for found in re.findall(r"^(?:.*\| )?\s*(docker|kubectl) ([a-z-]+)", there, re.MULTILINE)}
    used |= set(re.findall(r"^(curl)", there, re.MULTILINE))
    listed = re.findall(r"`((?:docker|kubectl|curl)[a-z -]*)`", GUIDE.split("\n## What of this is tested\n")[1])
    assert sorted(listed) == sorted(used)
    assert len(used) == 8


def references(documents: list[Document]) -> set[tuple[str, str, str]]:
    """Secrets and ConfigMaps that documents take keys of: kind, name and key."""
    found = set()
    for document in documents:
        for path, value in everywhere(document):
            if path[-1:] == ("secretKeyRef",) or path[-2:] == ("authorization", "credentials"):
                found.add(("Secret", value["name"], value["key"]))
            if path[-1:] == ("secret",) and isinstance(value, dict) and "items" in value:
                found |= {("Secret", value["secretName"], item["key"]) for item in value["items"]}
            if path[-1:] in (("configMap",), ("configMapRef",)) and isinstance(value, dict):
                found.add(("ConfigMap", value["name"], ""))
    return found


def test_all_that_manifests_read_is_made(
    builds: dict[str, list[Document]], sent: dict[tuple[str, str], Document]
) -> None:
    """By the guide, or by the manifests themselves; the config of Spark's ingest is its component's, which says so."""
    made = {
        (kind, name, key)
        for (kind, name), document in sent.items()
        for key in ([""] if kind == "ConfigMap" else document["data"])
    }
    made |= {("ConfigMap", one["metadata"]["name"], "") for one in builds["all"] if one["kind"] == "ConfigMap"}
    read = references(builds["all"])
    assert read - made == {("ConfigMap", "crossmix-ingest", "")}
    of_deploy = {("Secret", "crossmix-tokens", "deploy"), ("ConfigMap", "crossmix-manifests", "")}
    assert made - read == of_deploy, "no manifest starts that step"
    assert len([entry for entry in read if entry[0] == "Secret"]) >= 12


def test_what_is_made_can_be_used(followed: Path, sent: dict[tuple[str, str], Document], tmp_path: Path) -> None:
    import base64

    def value(name: str, key: str) -> str:
        return base64.b64decode(sent["Secret", name]["data"][key]).decode()

    tokens = access.Tokens(followed / "tokens.json")
    scopes = {"predictor": ("serve",), "metrics": ("read",), "deploy": ("admin",)}
    for key, expected in scopes.items():
        known = tokens.known(value("crossmix-tokens", key))
        assert known is not None
        assert known.scopes == expected
    assert value("crossmix-tokens", "tokens.json") == (followed / "tokens.json").read_text()
    assert value("crossmix-tokens", "predictor") not in value("crossmix-tokens", "tokens.json")
    variables = {"SECRET": value("crossmix-webhook", "secret"), "TOKEN": value("crossmix-webhook", "token")}
    with pytest.MonkeyPatch.context() as patched:
        for name, text in variables.items():
            patched.setenv(name, text)
        assert len(keys.signing("secret", None, "SECRET")()) == 1
        assert keys.bearer("token", None, "TOKEN")() == (variables["TOKEN"],)
    assert value("crossmix-database", "url") != value("crossmix-mlflow", "url"), "a database each"
    password = value("crossmix-database", "password")
    assert f":{password}@postgresql:5432/crossmix" in value("crossmix-database", "url")
    assert f":{value('crossmix-redis', 'password')}@redis:6379/" in value("crossmix-redis", "url")


def test_the_settings_are_ones_that_a_server_takes(sent: dict[tuple[str, str], Document]) -> None:
    import json

    from crossmix.config import load

    settings = json.loads(sent["ConfigMap", "crossmix-settings"]["data"]["config.json"])
    assert set(settings) == {"serving"}
    assert "serving.*" in SERVED
    config = load("laptop", [f"serving.{key}={value}" for key, value in settings["serving"].items()])
    assert (config.serving.experiment, config.serving.weight) == ("first", 0.7)


def test_both_overlays_were_built(followed: Path) -> None:
    built = list(yaml.safe_load_all((followed / "built.yaml").read_text()))
    assert len(built) > 50
    assert (followed / "k8s" / "images" / "kustomization.yaml").is_file()


def test_the_other_kinds_are_two_services_more(followed: Path) -> None:
    def services(name: str) -> set[str]:
        documents = yaml.safe_load_all((followed / name).read_text())
        return {one["metadata"]["name"] for one in documents if one["kind"] == "InferenceService"}

    assert services("kinds.yaml") - services("built.yaml") == {"journey", "creators"}


def test_the_deploy_step_gets_the_services_of_the_overlay(
    builds: dict[str, list[Document]], sent: dict[tuple[str, str], Document], followed: Path
) -> None:
    given = sent["ConfigMap", "crossmix-manifests"]["data"]
    built = {
        f"{one['metadata']['name']}.yaml": one
        for one in yaml.safe_load_all((followed / "built.yaml").read_text())
        if one["kind"] == "InferenceService"
    }
    assert {name: yaml.safe_load(text) for name, text in given.items()} == built
    assert set(given) == {"policy.yaml", "control.yaml", "router.yaml"}
