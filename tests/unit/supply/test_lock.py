"""From the resolver's answer to a lock's lines; a resolver that fails writes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from supply import lock
from supply.locks import TARGETS, LockError, parse

PYLOCK = """
[[packages]]
name = "two-wheels"
version = "2.0"
sdist = { url = "https://files.example/t.tar.gz", hashes = { sha256 = "SDIST" } }
wheels = [
    { url = "https://files.example/t-2.whl", hashes = { sha256 = "WHEEL2" } },
    { url = "https://files.example/t-1.whl", hashes = { sha256 = "WHEEL1" } },
]
[[packages]]
name = "a-source"
version = "1.0"
sdist = { url = "https://files.example/a.tar.gz", hashes = { sha256 = "SOURCE" } }
"""
HASHES = {name: digit * 64 for name, digit in (("SDIST", "0"), ("WHEEL2", "2"), ("WHEEL1", "1"), ("SOURCE", "3"))}


def pylock() -> str:
    text = PYLOCK
    for name, digest in HASHES.items():
        text = text.replace(name, digest)
    return text


def program(folder: Path, body: str) -> str:
    """A shell script in place of uv."""
    file = folder / "uv"
    file.write_text(f"#!/bin/sh\n{body}\n")
    file.chmod(0o755)
    return str(file)


def test_wheels_where_there_are_any_else_the_source_and_no_address() -> None:
    text = "\n".join(lock.lines(pylock()))
    assert {name: one.digests for name, one in parse(text).items()} == {
        "a-source": (HASHES["SOURCE"],),
        "two-wheels": (HASHES["WHEEL1"], HASHES["WHEEL2"]),
    }
    assert "example" not in text


def test_a_file_without_a_hash_is_no_answer() -> None:
    with pytest.raises(LockError, match=r"a 1\.0: no file with a SHA-256"):
        lock.lines('[[packages]]\nname = "a"\nversion = "1.0"\nwheels = [{ url = "u", hashes = {} }]\n')


def test_the_resolver_is_asked_for_the_images_platform(tmp_path: Path) -> None:
    (tmp_path / "answer").write_text(pylock())
    uv = program(
        tmp_path,
        f'echo "$@" >> {tmp_path}/asked\nwhile [ "$1" != -o ]; do shift; done\ncp {tmp_path}/answer "$2"',
    )
    text = lock.lock("serve", TARGETS["serve"], uv, None)
    assert text.startswith("# The image crossmix-serve: CPython 3.11 on Linux x86_64.")
    assert set(parse(text)) == {"a-source", "two-wheels"}
    lock.lock("steps", TARGETS["steps"], uv, "/a/folder")
    lock.lock("train", TARGETS["train"], uv, "/a/folder")
    serve, steps, train = (tmp_path / "asked").read_text().splitlines()
    for asked in (serve, steps, train):
        assert "--python-version 3.11.3 --python-platform x86_64-manylinux_2_28" in asked
    assert "--extra serve" in serve
    assert "--extra steps --extra cluster" in steps
    assert "--override" in steps
    assert "--find-links /a/folder" in steps
    # CUDA's torch is an index's own: no other place may give another file for it.
    assert "--override" not in serve + train
    assert "--find-links" not in serve + train


def test_without_a_place_that_has_torch_for_cpus_the_lock_says_how() -> None:
    with pytest.raises(LockError, match=r"locks/steps\.txt: torch 2\.13\.0\+cpu lies in no index.*make lock WHEELS="):
        lock.lock("steps", TARGETS["steps"], "uv", None)


def test_a_resolver_that_fails_leaves_the_locks_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(lock, "FOLDER", tmp_path / "locks")
    (tmp_path / "locks").mkdir()
    (tmp_path / "locks" / "serve.txt").write_text("as it was")
    assert lock.main(["--uv", program(tmp_path, "echo no such package >&2; exit 1")]) == 2
    assert "make lock: uv found no answer:\nno such package" in capsys.readouterr().err
    assert [file.name for file in (tmp_path / "locks").iterdir()] == ["serve.txt"]
    assert (tmp_path / "locks" / "serve.txt").read_text() == "as it was"
