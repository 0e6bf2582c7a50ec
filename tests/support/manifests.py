"""The manifests of k8s/, built by `kubectl kustomize` from a copy with made digests."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from typer.testing import CliRunner

from pipelines.cli.main import app

ROOT = Path(__file__).resolve().parents[2]
SCHEMAS = ROOT.parent / "shared" / "crds"
"""JSON Schemas of custom resources, beside the project."""
BUILDS = ("local", "cluster", "all")
"""The two overlays, and the base with every component."""
Document = dict[str, Any]
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""Ten times as fast where PyYAML has its C library."""

_ALL = """apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: crossmix
resources: [../../base]
components: [{}]
"""
_OPTIONAL = ("stores", "journey", "creators", "istio", "prometheus", "keda", "spark")


def kubectl(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """The package's `kubectl`, of this environment; it asks no cluster here."""
    program = Path(sys.executable).with_name("kubectl")
    return subprocess.run([str(program), *arguments], cwd=cwd, capture_output=True, text=True, timeout=300)


def filled(folder: Path, *leave_out: str) -> Path:
    """A copy of k8s/ in `folder` whose images have digests, as `crossmix cluster images` writes them.

    Args:
        leave_out: images that the place does not name.
    """
    copy = folder / "k8s"
    shutil.copytree(ROOT / "k8s", copy, ignore=shutil.ignore_patterns("images/kustomization.yaml"))
    (copy / "images" / "kustomization.yaml").unlink(missing_ok=True)
    place = copy / "cluster.toml"
    place.write_text(with_digests(place.read_text(), *leave_out))
    done = CliRunner().invoke(app, ["cluster", "images", str(place)])
    assert done.exit_code == 0, done.output
    every = copy / "overlays" / "all"
    every.mkdir()
    components = [*(f"../../components/{name}" for name in _OPTIONAL), "../../images"]
    (every / "kustomization.yaml").write_text(_ALL.format(", ".join(components)))
    return copy


def with_digests(text: str, *leave_out: str) -> str:
    """A place's TOML with a made digest for each of its images, those that are commented out, too."""
    lines = []
    section = ""
    for line in text.splitlines():
        section = line.split("]")[0] + "]" if line.startswith("[") else section
        name = line.removeprefix("# ").partition(" = ")[0]
        if section == "[images]" and "@sha256:" in line and name not in leave_out:
            line = f'{name} = "images.example/{name}@sha256:{len(lines):064x}"'
        lines.append(line)
    return "\n".join(lines) + "\n"


def build(copy: Path, overlay: str) -> list[Document]:
    """The documents of an overlay of a copy."""
    done = kubectl("kustomize", str(copy / "overlays" / overlay))
    assert done.returncode == 0, done.stderr
    return list(yaml.load_all(done.stdout, Loader=LOADER))


def of_kind(documents: list[Document], *kinds: str) -> list[Document]:
    """Those of some kinds."""
    return [document for document in documents if document["kind"] in kinds]


def named(documents: list[Document], kind: str, name: str) -> Document:
    """The one of a kind and name."""
    (found,) = (document for document in of_kind(documents, kind) if document["metadata"]["name"] == name)
    return found


def everywhere(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Each value of a document with its path, itself first."""
    yield path, value
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from everywhere(inner, (*path, key))
