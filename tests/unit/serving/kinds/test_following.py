"""Kinds are followed apart: one that takes long or whose registry hangs delays no other, nor whoever asks."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from serving.kinds.champion import KindChampion, NoChampionError
from serving.kinds.following import Following
from tests.support.kinds import ECHO, FakeRegistry, slow_kind, until

ONE, TWO = "1" * 64, "2" * 64


def follower(known: object, folder: Path, registry: FakeRegistry) -> KindChampion:
    return KindChampion(known, folder, lambda: registry)  # type: ignore[arg-type, return-value]


def test_a_registry_that_hangs_delays_no_other(tmp_path: Path) -> None:
    hanging, quick = FakeRegistry(1, {1: ONE}, hangs=True), FakeRegistry(2, {2: TWO, 3: ONE})
    first, other = follower(ECHO, tmp_path / "a", hanging), follower(ECHO, tmp_path / "b", quick)
    following = Following([first, other], 3600)
    following.start()
    until(lambda: other.ready and hanging.asked == 1)
    assert (first.state, first.told()["coming"]) == ("asking", None)
    quick.champion = 3
    assert following.ask(0.05) is False  # the first did not come in time
    until(lambda: other.version == 3)
    assert hanging.asked == 1
    hanging.open.set()
    assert following.ask(60) is True
    assert (first.version, first.state) == (1, "serving")
    following.stop()
    assert (first.ready, other.ready) == (False, False)


def test_what_takes_long_to_start_is_told_and_then_serves(tmp_path: Path) -> None:
    known, registry = slow_kind(), FakeRegistry(4, {4: ONE, 5: TWO})
    one = follower(known, tmp_path, registry)
    following = Following([one], 3600)
    following.start()
    until(lambda: one.state == "starting")
    with pytest.raises(NoChampionError) as told, one.using():
        pass
    assert str(told.value) == "model creators: version 4 is starting; ask again in a while"
    assert (one.told()["state"], one.told()["coming"], one.ready) == ("starting", 4, False)
    known.ready.set()
    assert following.ask(60)
    assert (one.told()["state"], one.told()["coming"], one.version) == ("serving", None, 4)
    known.ready.clear()
    registry.champion = 5
    assert following.ask(0.01) is False
    until(lambda: one.told()["coming"] == 5)
    assert (one.version, one.state) == (4, "serving")  # the one before answers meanwhile
    known.ready.set()
    until(lambda: one.version == 5)
    following.stop()
    assert [made.closed for made in known.made] == [True, True]


def test_what_served_before_serves_again_in_the_background(tmp_path: Path) -> None:
    registry = FakeRegistry(3, {3: ONE})
    follower(ECHO, tmp_path, registry).refresh()
    registry.hangs = True
    again = follower(ECHO, tmp_path, registry)
    following = Following([again], 3600)
    following.start()
    until(lambda: again.ready)
    assert (again.version, again.told()["state"]) == (3, "serving")
    registry.open.set()
    following.stop()


def test_stopped_while_it_starts_nothing_serves_and_nothing_stays(tmp_path: Path) -> None:
    known = slow_kind()
    one = follower(known, tmp_path, FakeRegistry(4, {4: ONE}))
    following = Following([one], 3600)
    following.start()
    until(lambda: bool(known.made) and known.made[0].warming.is_set())
    stopping = threading.Thread(target=following.stop)
    stopping.start()
    stopping.join(60)
    assert not stopping.is_alive()
    until(lambda: one.state != "starting")
    assert (one.ready, one.trouble, known.made[0].closed) == (False, None, True)
    assert one.refresh() is False
    assert len(known.made) == 1


def test_stopped_while_it_is_fetched_nothing_starts(tmp_path: Path) -> None:
    known, registry = slow_kind(), FakeRegistry(4, {4: ONE}, fetches_hang=True)
    one = follower(known, tmp_path, registry)
    following = Following([one], 3600)
    following.start()
    until(lambda: registry.fetched == [4])
    assert one.state == "starting"
    one.stop()
    registry.open.set()
    until(lambda: one.state != "starting")
    assert (one.ready, one.trouble, known.made) == (False, None, [])
    following.stop()
