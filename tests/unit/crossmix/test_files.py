"""Files are there whole or not at all."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from crossmix import files


def test_a_reader_sees_the_old_file_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "told.json"
    files.write(path, "old")
    with files.replacing(path) as half:
        half.write_text("ne")
        assert path.read_text() == "old"
        half.write_text("new")
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_after_an_error_the_old_file_stays_alone(tmp_path: Path) -> None:
    path = tmp_path / "told.json"
    files.write(path, b"old")

    def fail() -> None:
        with files.replacing(path) as half:
            half.write_text("half of it")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.write_json(path, {"value": float("nan")})
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_json_is_read_back_and_ends_with_a_line(tmp_path: Path) -> None:
    files.write_json(tmp_path / "a.json", {"b": [1, 2.5, "é"]})
    text = (tmp_path / "a.json").read_text()
    assert json.loads(text) == {"b": [1, 2.5, "é"]}
    assert text.endswith("}\n")


def test_a_secret_is_never_readable_by_others(tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    with files.replacing(path, mode=0o600) as half:
        assert half.stat().st_mode & 0o777 == 0o600
    assert path.stat().st_mode & 0o777 == 0o600


def test_durable_is_on_the_disk_before_it_is_in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, synced = tmp_path / "kept", []
    fsync = os.fsync

    def noted(handle: int) -> None:
        synced.append((str(Path(f"/proc/self/fd/{handle}").readlink()), path.exists()))
        fsync(handle)

    monkeypatch.setattr(os, "fsync", noted)
    files.write(path, "x")
    assert synced == []
    path.unlink()
    files.write(path, "x", durable=True)
    (half, there), (folder, after) = synced
    assert (Path(half).parent, there) == (tmp_path, False)
    assert (folder, after) == (str(tmp_path), True)


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        files.write(tmp_path / "none" / "a", "x")


def status(mode: int, group: int) -> os.stat_result:
    """Of a regular file."""
    return os.stat_result((0o100_000 | mode, 1, 1, 1, os.geteuid(), group, 0, 0, 0, 0))


def test_a_secret_is_its_owners_or_of_a_group_of_ones_own() -> None:
    mine = {os.getegid(), *os.getgroups()}
    foreign = max(mine) + 1
    for mode in (0o600, 0o400):
        assert files.exposed(status(mode, foreign)) is None
    for group in mine:
        assert files.exposed(status(0o440, group)) is None
    assert files.exposed(status(0o440, foreign)) == (
        f"its mode is 440 and its group {foreign} is none of this process's, which others could be in; run chmod 600 "
        "on it, or name the group as fsGroup where a cluster mounts it"
    )
    for mode in (0o644, 0o640, 0o660, 0o444, 0o460, 0o404, 0o500):
        told = f"its mode is {mode:o}, others could use it; run chmod 600 on it"
        assert files.exposed(status(mode, os.getegid())) == told
