"""The step store, shared: one key by many at once, a kill on one host, links, and a volume that is not there."""

from __future__ import annotations

import fcntl
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from components import store as step_store
from components.declared import steps
from components.steps import run_step
from crossmix.artifacts import Done, Failure, Stored
from crossmix.config import load, to_json

ROUNDS = 50


def ran(core: str, seed: int, store: Path, out: Path, name: str = "ingest") -> Path:
    step = replace(steps()[name], core=f"tests.support.fake_steps:{core}", figures=None)
    return run_step(step, to_json(load("laptop", [f"data.demo.seed={seed}"])), {}, str(out), str(store))


def forked(call: Callable[[], object]) -> int:
    """A process that does it, with status 0 if it came to an end."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: PTH123, SIM115 - the child's own, until it ends
        call()
        status = 0
    finally:
        os._exit(status)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "volume" / "steps"
    path.parent.mkdir()
    return path


def test_two_processes_with_one_key_both_end_well_every_time(store: Path, tmp_path: Path) -> None:
    ran("write_seed", 0, store, tmp_path / "warm")  # digests of the code are taken once, before the forks

    def compute(side: str) -> None:
        for number in range(1, ROUNDS + 1):  # the step waits until both are in it
            ran("meet", number, store, tmp_path / f"{number}{side}")

    children = [forked(lambda side=side: compute(side)) for side in "ab"]  # type: ignore[misc]
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0]
    for number in range(1, ROUNDS + 1):
        told = [Stored.load(tmp_path / f"{number}{side}") for side in "ab"]
        assert told[0] == told[1]
        folder = store / "ingest" / told[0].key
        assert (folder / "value").read_text() == str(number)
        assert Done.load(folder).key == folder.name
    assert (store / "current" / "ingest").resolve() == folder.resolve()
    assert len(list((store / "ingest").iterdir())) == ROUNDS + 1  # results, and nothing besides
    assert [path.name for path in (store / "current").iterdir()] == ["ingest"]
    assert not (store / Failure.FILE).exists()


def test_a_step_killed_on_one_host_goes_on_on_another(store: Path, tmp_path: Path) -> None:
    """The second sees the same volume under another path."""
    child = forked(lambda: ran("linger", 3, store, tmp_path / "first"))
    deadline = time.monotonic() + 240
    while not list(store.glob("ingest/*.work/checkpoint")):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert len(list(store.glob("ingest/*.tmp"))) == 1
    other = tmp_path / "other"
    other.symlink_to(store.parent, target_is_directory=True)
    done = ran("linger", 3, other / "steps", tmp_path / "second")
    assert (done / "value").read_text() == "from the first"
    assert not (done / "half").exists()
    assert [path.name for path in (store / "ingest").iterdir()] == [done.name]


def test_the_living_have_checkpoints_of_their_own(tmp_path: Path) -> None:
    folder = tmp_path / "train" / "k"
    with step_store.claim(folder) as first, step_store.claim(folder) as second:
        assert (first.work.name, second.work.name) == ("k.0.work", "k.1.work")
        assert first.half != second.half
        first.work.mkdir()
    with step_store.claim(folder) as third:
        assert third.work == first.work  # what was left there is gone on with
        assert third.half != first.half


def test_the_first_result_stands(tmp_path: Path) -> None:
    folder = tmp_path / "k"
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        Done(step="s", key=name, seconds=0.0, finished="now").save(tmp_path / name)
        assert step_store.publish(tmp_path / name, folder).key == "one"
    assert [path.name for path in tmp_path.iterdir()] == ["k"]


def test_a_damaged_result_is_made_anew(store: Path, tmp_path: Path) -> None:
    first = ran("write_seed", 5, store, tmp_path / "out")
    (first / Done.FILE).unlink()
    (first / "value").write_text("damaged")
    again = ran("write_seed", 5, store, tmp_path / "out")
    assert again == first
    assert (again / "value").read_text() == "5"
    assert [path.name for path in (store / "ingest").iterdir()] == [first.name]


def test_what_the_killed_left_goes_with_the_result(tmp_path: Path) -> None:
    folder = tmp_path / "k"
    folder.mkdir()
    for name in ("k.1.lock", "other.0.lock"):
        (tmp_path / name).touch()
    for name in ("k.1.work", "k.1.a.tmp", "other.0.work"):
        (tmp_path / name).mkdir()
    with step_store.claim(folder):
        step_store.sweep(folder)
        names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["k", "k.0.lock", "other.0.lock", "other.0.work"]  # the living keep theirs


def test_a_lock_that_its_owner_removed_is_no_lock(tmp_path: Path) -> None:
    """As it was opened before it was removed; else two would hold `the` lock."""
    path = tmp_path / "lock"
    handle = os.open(path, os.O_RDWR | os.O_CREAT)
    assert step_store._same(handle, path)
    path.unlink()
    assert not step_store._same(handle, path)
    path.touch()
    assert not step_store._same(handle, path)
    os.close(handle)


def test_a_store_that_is_not_mounted_is_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = tmp_path / "none" / "steps"
    with pytest.raises(SystemExit) as ended:
        ran("write_seed", 5, missing, tmp_path / "out")
    assert ended.value.code == 1
    told = capsys.readouterr().err
    assert f"ingest: store: {missing} is not there: {missing.parent} does not exist; mount the volume" in told
    assert "error.json cannot be written: " in told
    assert "Traceback" not in told
    assert not missing.parent.exists()


def test_a_store_that_may_not_be_written_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "steps"
    path.mkdir()
    monkeypatch.setattr(os, "access", lambda *_: False)
    message = rf"{path} cannot be written \(Permission denied\) by user {os.getuid()}, group {os.getgid()}; mount the"
    with pytest.raises(step_store.StoreError, match=message):
        step_store.opened(str(path))


def test_a_volume_without_locks_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: int) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", refuse)
    refused = pytest.raises(
        step_store.StoreError, match=r"takes no file locks \(Operation not supported\); use a volum"
    )
    with refused, step_store.claim(tmp_path / "s" / "k"):
        pass


def test_links_change_from_one_moment_to_the_next(tmp_path: Path) -> None:
    """A reader beside two writers sees one of both folders at every look."""
    for key in ("a", "b"):
        (tmp_path / "s" / key).mkdir(parents=True)
    step_store.record(tmp_path, "s", tmp_path / "s" / "a")

    def write(key: str) -> None:
        for _ in range(300):
            step_store.record(tmp_path, "s", tmp_path / "s" / key)

    writers = {forked(lambda key=key: write(key)): -1 for key in "ab"}  # type: ignore[misc]
    looks = 0
    while -1 in writers.values():
        assert (tmp_path / "current" / "s").resolve().name in ("a", "b")
        looks += 1
        for child, status in writers.items():
            if status < 0:
                ended, told = os.waitpid(child, os.WNOHANG)
                writers[child] = told if ended else -1
    assert set(writers.values()) == {0}
    assert looks
    assert [path.name for path in (tmp_path / "current").iterdir()] == ["s"]
