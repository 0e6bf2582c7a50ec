"""The base image's digest is what a registry said, or it is not written."""

from __future__ import annotations

from pathlib import Path

import pytest

from supply import base

DIGEST = "sha256:" + "0" * 63 + "1"


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all of PATH but the shell; what lies in it as `crane` is asked."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def crane(folder: Path, body: str) -> None:
    (folder / "crane").write_text(f"#!/bin/sh\n{body}\n")
    (folder / "crane").chmod(0o755)


@pytest.mark.parametrize("image", ["python:3.11-slim", "images.example:5000/a/python:3.11-slim"])
def test_a_digest_that_a_registry_told_is_written_without_the_tag(image: str, registry: Path, tmp_path: Path) -> None:
    crane(registry, f'[ "$*" = "digest {image}" ] && echo {DIGEST}')
    told = base.resolved(image, tmp_path)
    name = image.removesuffix(":3.11-slim")
    assert (tmp_path / "base.txt").read_text() == f"{name}@{DIGEST}\n"
    assert told == f"locks/base.txt: {name}@{DIGEST}, as {image} is now"


@pytest.mark.parametrize("body", ["exit 1", f"echo {DIGEST}; exit 1", "echo 3.11-slim", "echo sha256:0", None])
def test_where_no_registry_answers_no_digest_is_written(body: str | None, registry: Path, tmp_path: Path) -> None:
    if body is not None:
        crane(registry, body)
    told = base.resolved("python:3.11-slim", tmp_path)
    assert told.startswith("locks/base.txt: not written; no image registry answered for python:3.11-slim")
    assert not (tmp_path / "base.txt").exists()


def test_a_digest_of_before_is_kept_and_said_to_be(registry: Path, tmp_path: Path) -> None:
    (tmp_path / "base.txt").write_text(f"python@{DIGEST}\n")
    assert base.resolved("python:3.11-slim", tmp_path).startswith(f"locks/base.txt: kept as it was (python@{DIGEST})")
    assert (tmp_path / "base.txt").read_text() == f"python@{DIGEST}\n"
