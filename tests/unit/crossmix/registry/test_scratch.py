"""Folders of fetches: what has come is counted, and what killed processes left is swept, nobody else's."""

from __future__ import annotations

import os
from pathlib import Path

from crossmix.registry import scratch

NOBODY = 99_999_999
"""A number that no system gives a process."""


def test_what_has_come_is_counted(tmp_path: Path) -> None:
    target = tmp_path / "abc"
    assert scratch.arrived(target) == (0, 0)
    inside = tmp_path / f"{scratch.prefix(target)}x1" / "bundle"
    inside.mkdir(parents=True)
    (inside / "policy.onnx").write_bytes(b"1234567")
    (inside.parent / "manifest.json").write_bytes(b"123")
    assert scratch.arrived(target) == (2, 10)
    other = tmp_path / f"{scratch.prefix(tmp_path / 'other')}x1"
    other.mkdir()
    (other / "more").write_bytes(b"1")
    assert scratch.arrived(target) == (2, 10)


def test_what_killed_fetches_left_is_swept_and_what_a_running_one_has_is_not(tmp_path: Path) -> None:
    mine, parent = os.getpid(), os.getppid()
    names = {
        f".abc-{NOBODY}-x1": True,  # killed
        f".abc-{mine}-x1": True,  # of before a container's restart, where numbers begin anew
        f".abc-{parent}-x1": False,  # another server's, which runs
        ".cache": False,
        "abc": False,
    }
    for name in names:
        (tmp_path / name).mkdir()
    (tmp_path / f".abc-{NOBODY}-x1" / "half").write_bytes(b"1")
    assert scratch.sweep(tmp_path) == 2
    assert {name for name in names if not (tmp_path / name).exists()} == {
        name for name, swept in names.items() if swept
    }
    assert scratch.sweep(tmp_path / "none") == 0
