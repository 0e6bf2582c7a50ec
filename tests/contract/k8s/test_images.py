"""Images: none without a digest, wherever one stands; what was not resolved fails before it runs."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipelines.cli.main import app
from tests.support.manifests import BUILDS, ROOT, Document, build, everywhere, filled, kubectl, of_kind, with_digests

DIGEST = re.compile(r"images\.example/[a-z0-9]+@sha256:[0-9a-f]{64}")


@pytest.mark.parametrize("name", BUILDS)
def test_every_image_has_the_digest_of_its_place(builds: dict[str, list[Document]], name: str) -> None:
    images = [value for document in builds[name] for path, value in everywhere(document) if path[-1:] == ("image",)]
    assert len(images) >= 9
    assert [image for image in images if not DIGEST.fullmatch(image)] == []
    assert len(set(images)) == {"cluster": 3, "local": 6, "all": 7}[name], "each part its own"


@pytest.mark.parametrize("overlay", ["local", "cluster"])
def test_without_digests_no_overlay_builds(tmp_path: Path, overlay: str) -> None:
    shutil.copytree(ROOT / "k8s", tmp_path / "k8s", ignore=shutil.ignore_patterns("images/kustomization.yaml"))
    (tmp_path / "k8s" / "images" / "kustomization.yaml").unlink(missing_ok=True)
    done = kubectl("kustomize", str(tmp_path / "k8s" / "overlays" / overlay))
    assert done.returncode != 0
    assert "k8s/images" in done.stderr
    assert done.stdout == ""


def test_an_image_that_is_not_named_can_be_pulled_by_nobody(tmp_path: Path) -> None:
    """What stands in the manifests is no reference: a kubelet says InvalidImageName, and takes no tag instead."""
    copy = filled(tmp_path, "redis")
    (redis,) = (one for one in of_kind(build(copy, "local"), "StatefulSet") if one["metadata"]["name"] == "redis")
    image = redis["spec"]["template"]["spec"]["containers"][0]["image"]
    assert image == "redis@sha256:unresolved"
    assert not re.fullmatch(r"[^@]+(@sha256:[0-9a-f]{64})?", image)


def test_the_manifests_hold_no_digest_and_no_tag() -> None:
    named = {
        value
        for path in (ROOT / "k8s").rglob("*.yaml")
        if path.parent.name != "images"
        for value in re.findall(r"image: (\S+?)[,}\s]", path.read_text() + "\n")
    }
    ours = {f"crossmix-{name}" for name in ("steps", "train", "serve", "spark")}
    assert named == {f"{name}@sha256:unresolved" for name in ours | {"postgresql", "redis", "s3"}}


def invoke(*arguments: str, command: str = "images") -> tuple[int, str]:
    done = CliRunner().invoke(app, ["cluster", command, *arguments])
    return done.exit_code, done.output


def test_the_command_writes_beside_the_place(tmp_path: Path) -> None:
    place = tmp_path / "cluster.toml"
    place.write_text(with_digests((ROOT / "k8s" / "cluster.toml").read_text(), "spark"))
    written = tmp_path / "images" / "kustomization.yaml"
    assert invoke(str(place)) == (0, f"{written}\n")
    text = written.read_text()
    assert text.count("- {name: ") == 6
    assert '- {name: crossmix-serve, newName: "images.example/serve", digest: "sha256:' in text
    assert '- {name: redis, newName: "images.example/redis", digest: "sha256:' in text
    assert invoke(str(place), "--out", str(tmp_path / "other.yaml")) == (0, f"{tmp_path / 'other.yaml'}\n")
    assert (tmp_path / "other.yaml").read_text() == text


def test_the_command_refuses_a_tag_and_an_unfilled_place(tmp_path: Path) -> None:
    status, said = invoke(str(ROOT / "k8s" / "cluster.toml"), "--out", str(tmp_path / "x.yaml"))
    assert status == 2
    assert "images.steps: 'crossmix-steps@sha256:DIGEST' is no image by digest" in said
    place = tmp_path / "cluster.toml"
    filled_in = with_digests((ROOT / "k8s" / "cluster.toml").read_text())
    place.write_text(re.sub(r"redis@sha256:[0-9a-f]{64}", "redis:8", filled_in))
    status, said = invoke(str(place))
    assert status == 2
    assert "images.redis: 'images.example/redis:8' is no image by digest" in said
    assert not (tmp_path / "images").exists()


def test_a_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    place = tmp_path / "cluster.toml"
    place.write_text(with_digests((ROOT / "k8s" / "cluster.toml").read_text()))
    (tmp_path / "taken").write_text("")
    status, said = invoke(str(place), "--out", str(tmp_path / "taken" / "x.yaml"))
    assert (status, "cannot be written" in said) == (2, True)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "cannot be read"),
        ("kind: [", "is no YAML of manifests"),
        ("just words", "is no YAML of manifests"),
        ("kind: Service\nmetadata: {name: router}", "has no InferenceService"),
    ],
)
def test_what_is_no_built_overlay_is_told(tmp_path: Path, text: str | None, said: str) -> None:
    built = tmp_path / "built.yaml"
    if text is not None:
        built.write_text(text)
    status, told = invoke(str(built), "--out", str(tmp_path / "manifests"), command="manifests")
    assert (status, said in told) == (2, True), told
    assert not (tmp_path / "manifests").exists()
