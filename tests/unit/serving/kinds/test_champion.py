"""A kind's champion: followed, refused, kept over a restart, and given back once nobody asks it any more."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from serving.kinds import champion as module
from serving.kinds.champion import KindChampion, NoChampionError
from tests.support.kinds import ECHO, Echo, FakeRegistry, Loaded

ONE, TWO = "1" * 64, "2" * 64


def follower(folder: Path, registry: FakeRegistry) -> KindChampion:
    return KindChampion(ECHO, folder, lambda: registry)  # type: ignore[arg-type, return-value]


def test_without_a_champion_it_says_so_and_waits(tmp_path: Path) -> None:
    registry = FakeRegistry()
    one = follower(tmp_path, registry)
    assert "the registry was not asked yet" in str(one.absent())
    assert one.refresh() is False
    with pytest.raises(NoChampionError) as told, one.using():
        pass
    assert str(told.value) == (
        "model creators: no champion of kind creators is registered; `crossmix run --set task=creators` makes one"
    )
    assert (one.ready, one.version, one.trouble) == (False, None, None)
    registry.champion, registry.digests = 1, {1: ONE}
    assert one.refresh() is True
    assert (one.ready, one.version, one.told()["bundle"]) == (True, 1, ONE)
    assert "this server has no registry" in str(KindChampion(ECHO, tmp_path / "none", None).absent())


class Watched(KindChampion):
    """What others are told after each of its steps, while nothing serves."""

    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(name, value)
        told = self.__dict__.setdefault("said", [])
        if "_warming" in self.__dict__ and not self.ready:  # it is whole
            told.append((self.state, str(self.absent()).removeprefix("model creators: ")))


def test_while_a_champion_comes_nobody_is_told_that_there_is_none(tmp_path: Path) -> None:
    registry = FakeRegistry(1, {1: ONE})
    one = Watched(ECHO, tmp_path, lambda: registry)  # type: ignore[arg-type, return-value]
    assert one.refresh() is True
    assert one.ready
    assert dict.fromkeys(one.said) == dict.fromkeys(
        [
            ("asking", "the registry was not asked yet; ask again"),
            ("starting", "version 1 is starting; ask again in a while"),
        ]
    )


@pytest.mark.parametrize("trouble", ["away", "broken", "fetch"])
def test_what_is_wrong_is_told_before_that_the_registry_was_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    """A moment before, a registry that is away had no champion, and neither had one whose bundle is refused."""
    registry = FakeRegistry(1, {1: ONE}, away=trouble == "away", broken={1} if trouble == "broken" else set())
    if trouble == "fetch":

        def cut(version: int, target: Path) -> Loaded:
            raise ConnectionError("reset by peer")

        monkeypatch.setattr(registry, "fetch", cut)
    one = Watched(ECHO, tmp_path, lambda: registry)  # type: ignore[arg-type, return-value]
    assert one.refresh() is False
    assert not any("is registered" in said for _, said in one.said)
    assert one.said[-1] == ("none", one.trouble)


def test_it_follows_promotions_and_rollbacks(tmp_path: Path) -> None:
    registry = FakeRegistry(1, {1: ONE, 2: TWO})
    one = follower(tmp_path, registry)
    one.refresh()
    with one.using() as first:
        assert isinstance(first.answering, Echo)
        assert first.answering.warmed
        registry.champion = 2
        assert one.refresh() is True
        assert not first.answering.closed  # somebody still asks it
        with one.using() as second:
            assert (second.version, second.digest) == (2, TWO)
    assert first.answering.closed
    assert not second.answering.closed
    registry.champion = 1
    assert one.refresh() is True
    assert second.answering.closed
    assert (one.version, one.refresh()) == (1, False)


def test_a_bundle_that_does_not_verify_is_refused_and_the_last_good_one_serves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = FakeRegistry(1, {1: ONE, 2: TWO}, broken={2})
    one = follower(tmp_path, registry)
    one.refresh()
    registry.champion = 2
    assert one.refresh() is False
    assert one.version == 1
    assert one.trouble == (
        "bundle: version 2 is refused, the last good one serves (manifest.json: changed since it was saved; "
        "fetch the bundle again)"
    )
    one.refresh()
    assert registry.fetched == [1, 2]  # not tried again at once
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.0)
    registry.broken.clear()
    assert one.refresh() is True
    assert (one.version, one.trouble) == (2, None)


def test_the_first_that_is_refused_is_told_to_whoever_asks(tmp_path: Path) -> None:
    one = follower(tmp_path, FakeRegistry(1, {1: ONE}, broken={1}))
    one.refresh()
    assert str(one.absent()).startswith("model creators: bundle: version 1 is refused, nothing serves (manifest.json")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (MemoryError(), "MemoryError"),
        (RuntimeError("Load model failed:\nbad graph"), "RuntimeError: Load model failed:"),
    ],
)
def test_whatever_starting_raises_is_the_bundles_and_not_the_registrys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, reason: str
) -> None:
    made: list[Echo] = []

    def warm(self: Echo) -> None:
        made.append(self)
        if self.name == TWO:
            raise error

    monkeypatch.setattr(Echo, "warm", warm)
    registry = FakeRegistry(1, {1: ONE, 2: TWO})
    one = follower(tmp_path, registry)
    one.refresh()
    registry.champion = 2
    refused = f"bundle: version 2 is refused, the last good one serves ({reason})"
    for _ in range(2):
        assert one.refresh() is False
        assert (one.version, one.trouble, one.told()["coming"]) == (1, refused, None)
    assert (registry.fetched, made[1].closed) == ([1, 2], True)  # not tried again at once
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.0)
    one.refresh()
    assert registry.fetched == [1, 2, 2]


def test_a_refusal_is_told_again_once_the_registry_is_back(tmp_path: Path) -> None:
    registry = FakeRegistry(1, {1: ONE, 2: TWO}, broken={2})
    one = follower(tmp_path, registry)
    one.refresh()
    registry.champion = 2
    one.refresh()
    refused = one.trouble
    assert refused is not None
    registry.away = True
    one.refresh()
    assert one.trouble == "registry: connection refused"
    registry.away = False
    one.refresh()
    assert (one.trouble, registry.fetched) == (refused, [1, 2])


def test_while_the_registry_is_away_the_last_good_one_serves_also_after_a_restart(tmp_path: Path) -> None:
    registry = FakeRegistry(3, {3: ONE})
    follower(tmp_path, registry).refresh()
    registry.away = True
    again = follower(tmp_path, registry)
    again.start()
    assert again.refresh() is False
    assert (again.version, again.told()["bundle"], again.trouble) == (3, ONE, "registry: connection refused")
    registry.away = False
    assert again.refresh() is False
    assert (again.trouble, registry.fetched) == (None, [3])


def test_what_was_kept_and_is_damaged_does_not_serve(tmp_path: Path) -> None:
    registry = FakeRegistry(3, {3: ONE})
    follower(tmp_path, registry).refresh()
    (tmp_path / "kinds" / "creators" / "serving.json").write_text("[]")
    again = follower(tmp_path, registry)
    again.start()
    assert not again.ready


def test_a_version_of_the_same_bundle_is_told_anew(tmp_path: Path) -> None:
    registry = FakeRegistry(1, {1: ONE, 5: ONE})
    one = follower(tmp_path, registry)
    one.refresh()
    registry.champion = 5
    assert one.refresh() is False
    assert (one.version, registry.fetched) == (5, [1])


def test_few_bundles_stay(tmp_path: Path) -> None:
    registry = FakeRegistry(1, {at: f"{at:064d}"[::-1] for at in range(1, 6)})
    one = follower(tmp_path, registry)
    for number in registry.digests:
        registry.champion = number
        one.refresh()
    assert len(list((tmp_path / "kinds" / "creators").glob("*/manifest.json"))) == module.KEPT


def test_few_bundles_stay_though_the_files_times_do_not_tell_the_newest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk's times have steps, and a clock may be set back."""
    registry = FakeRegistry(1, {at: f"{at:064d}"[::-1] for at in range(1, 6)})
    fetch = registry.fetch

    def backwards(version: int, target: Path) -> Loaded:
        loaded = fetch(version, target)
        os.utime(target / "manifest.json", (100 - version, 100 - version))
        return loaded

    monkeypatch.setattr(registry, "fetch", backwards)
    one = follower(tmp_path, registry)
    for number in registry.digests:
        registry.champion = number
        one.refresh()
    kept = [file.parent.name for file in (tmp_path / "kinds" / "creators").glob("*/manifest.json")]
    assert len(kept) == module.KEPT
    assert registry.digests[5][:16] in kept


def test_stopped_it_gives_back_what_it_holds(tmp_path: Path) -> None:
    one = follower(tmp_path, FakeRegistry(1, {1: ONE}))
    one.refresh()
    with one.using() as held:
        one.stop()
        assert isinstance(held.answering, Echo)
        assert not held.answering.closed
    assert held.answering.closed


class Stopping(FakeRegistry):
    """Stops the kind while its bundle is fetched."""

    stop: KindChampion

    def fetch(self, version: int, target: Path) -> Loaded:
        self.stop.stop()
        return super().fetch(version, target)


@pytest.mark.parametrize("during", ["fetch", "warm"])
def test_what_a_stop_overtakes_never_served_and_is_not_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, during: str
) -> None:
    caplog.set_level(logging.INFO, "serving.kinds.champion")
    registry = (Stopping if during == "fetch" else FakeRegistry)(4, {4: ONE})
    one = follower(tmp_path, registry)
    warmed: list[Echo] = []

    def warm(self: Echo) -> None:
        warmed.append(self)
        one.stop()

    monkeypatch.setattr(Echo, "warm", warm)
    if isinstance(registry, Stopping):
        registry.stop = one
    assert one.refresh() is False
    assert (one.ready, one.kept, one.trouble, registry.fetched) == (False, False, None, [4])
    assert [made.closed for made in warmed] == ([] if during == "fetch" else [True])
    assert not caplog.records


def test_a_stop_is_no_fault_of_what_served_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    registry = FakeRegistry(3, {3: ONE})
    follower(tmp_path, registry).refresh()
    again = follower(tmp_path, registry)

    def warm(self: Echo) -> None:
        again.stop()
        raise RuntimeError("ended before it was ready")

    monkeypatch.setattr(Echo, "warm", warm)
    caplog.clear()
    again.follow()
    assert (again.ready, again.kept, registry.asked) == (False, True, 1)
    assert not caplog.records
