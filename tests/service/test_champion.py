"""The bundle that serves: followed without a restart, refused if it does not verify, kept if the registry is away."""

from __future__ import annotations

import json
import shutil
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from crossmix import bundle as bundles
from crossmix.bundle import BundleError
from crossmix.registry import scratch
from crossmix.registry.mlflow_door import RegistryError
from crossmix.registry.store import Registry
from crossmix.state import ALLOCATION, KINDS
from serving.live.champion import Champion
from tests.support.serving_run import Run, save_bundle

UNTOLD = "; nothing is answered until it says which version serves"


def champion(run: Run, registry: Any = None) -> Champion:
    return Champion(run.out / "serving", lambda: registry or run.registry, run.out / "bundle")


def test_it_follows_promotions_and_rollbacks(run: Run) -> None:
    registry = run.registry
    one = champion(run)
    assert one.current.version is None
    assert one.refresh() is False
    assert one.current.version == 1
    registry.promote(2, actor="ann", reason="better")
    assert one.refresh() is True
    assert (one.current.version, one.current.bundle.digest) == (2, run.digests[1])
    assert one.promotion()["reason"] == "better"
    registry.rollback(actor="ann")
    assert one.refresh() is True
    assert one.current.bundle.digest == run.digests[0]
    assert champion(run).current.version == 1


def test_a_fresh_server_asks_before_it_answers(run: Run) -> None:
    """67 answers came from the run's own bundle while another version was champion, and nothing said so."""
    run.registry.promote(2, actor="ann", reason="better")
    one = champion(run)
    assert (one.current.version, one.trouble) == (None, "registry: not asked yet")
    assert one.ask(60) is True
    assert (one.current.version, one.current.bundle.digest, one.trouble) == (2, run.digests[1], None)
    again = champion(run)
    assert (again.current.version, again.trouble) == (2, "registry: not asked yet"), "a kept bundle may be an old one"
    assert again.ask(60) is False
    assert again.trouble is None


def test_a_registry_that_hangs_is_away_after_the_bound_and_its_answer_counts_when_it_comes(run: Run) -> None:
    run.registry.promote(2, actor="ann", reason="better")
    answers, registry = threading.Event(), run.registry

    class Hanging:
        def get(self, version: str | int) -> Any:
            assert answers.wait(300)
            return registry.get(version)

        def fetch(self, version: str | int, target: Path) -> Any:
            return registry.fetch(version, target)

    one = champion(run, Hanging())
    assert one.ask(0.05) is False
    assert one.trouble == f"registry: no answer within 0.05 s{UNTOLD}"
    assert (one.current.version, one.current.bundle.digest, one.ready) == (None, run.digests[0], False)
    assert one.awaited.startswith("registry: it is asked for its champion, for ")
    answers.set()
    one.refresh()  # waits for the one under way
    assert (one.current.version, one.trouble, one.ready) == (2, None, True)
    assert not one.asked.under_way


def test_a_slow_fetch_is_told_as_it_comes_and_one_that_was_killed_leaves_nothing(run: Run) -> None:
    """It answered by the run's own bundle, of no version, while the champion's was on its way."""
    run.registry.promote(2, actor="ann", reason="better")
    half, go_on, registry = threading.Event(), threading.Event(), run.registry
    bundles_folder = run.out / "serving" / "bundles"

    class Slow:
        def get(self, version: str | int) -> Any:
            return registry.get(version)

        def fetch(self, version: str | int, target: Path) -> Any:
            coming = target.parent / f"{scratch.prefix(target)}x1"
            coming.mkdir(parents=True)
            (coming / "policy.onnx").write_bytes(bytes(2_000_000))
            half.set()
            assert go_on.wait(300)
            return registry.fetch(version, target)  # and what is half there stays, as after a kill

    one = champion(run, Slow())
    asking = threading.Thread(target=one.refresh)
    asking.start()
    assert half.wait(300)
    assert (one.ready, one.current.version) == (False, None)
    assert one.awaited.startswith("registry: version 2 is fetched, for ")
    assert one.awaited.endswith(" so far, 1 file and 2.0 MB")
    go_on.set()
    asking.join(300)
    assert (one.ready, one.current.version) == (True, 2)
    assert list(bundles_folder.glob(".*")) != []
    again = champion(run, Slow())
    assert (again.ready, again.current.version) == (True, 2), "what served last has a version"
    assert list(bundles_folder.glob(".*")) == []


def test_a_registry_without_a_champion_leaves_the_runs_own_bundle_and_an_ill_one_does_not(run: Run) -> None:
    empty = replace(run.registry, model="another")
    one = champion(run, empty)
    assert one.ready is False
    one.refresh()
    assert (one.ready, one.current.version) == (True, None)
    assert str(one.trouble).startswith("registry: another: no version or alias 'champion'")
    assert str(one.trouble).endswith("; the run's own bundle serves, of an unknown version")
    away = Away(run.registry)
    other = champion(run, away)
    other.refresh()
    assert (other.ready, other.trouble) == (False, f"registry: registry: connection refused{UNTOLD}")
    away.back = True
    other.refresh()
    assert (other.ready, other.current.version, other.trouble) == (True, 1, None)


def test_a_client_that_cannot_be_made_is_trouble_at_once(run: Run) -> None:
    def broken() -> Any:
        raise RegistryError("tracking_uri: no such scheme")

    one = Champion(run.out / "serving", broken, run.out / "bundle")
    assert one.ask(300) is False
    assert one.trouble == f"registry: tracking_uri: no such scheme{UNTOLD}"
    assert one.ready is False


def test_a_run_whose_own_bundle_is_spoilt_is_served_from_the_registry(run: Run) -> None:
    with (run.out / "bundle" / "policy.onnx").open("ab") as stream:
        stream.write(b"x")
    one = champion(run)
    assert (one.current.version, one.current.bundle.digest, one.trouble) == (1, run.digests[0], None)
    shutil.rmtree(run.out / "serving")
    with pytest.raises(BundleError, match=r"policy\.onnx"):
        Champion(run.out / "serving", None, run.out / "bundle")


class Away:
    """A registry that cannot be reached until it is `back`."""

    def __init__(self, registry: Registry) -> None:
        self.registry, self.back = registry, False

    def get(self, version: str | int) -> Any:
        if not self.back:
            raise RegistryError("registry: connection refused")
        return self.registry.get(version)

    def fetch(self, version: str | int, target: Path) -> Any:
        return self.registry.fetch(version, target)


def test_while_the_registry_is_away_the_last_good_bundle_serves_also_after_a_restart(run: Run) -> None:
    run.registry.promote(2, actor="ann", reason="better")
    first = champion(run)
    first.refresh()
    away = Away(run.registry)
    again = champion(run, away)
    assert (again.current.version, again.current.bundle.digest) == (2, run.digests[1])
    assert again.refresh() is False
    assert again.trouble == "registry: registry: connection refused"
    run.registry.rollback(actor="ann")
    away.back = True
    assert again.refresh() is True
    assert again.trouble is None
    assert again.current.version == 1


def test_a_bundle_whose_files_were_changed_is_refused_and_the_old_one_serves(run: Run, monkeypatch: Any) -> None:
    one = champion(run)
    one.refresh()
    registry = run.registry
    registry.promote(2, actor="ann", reason="better")
    real = Registry.fetch

    def tampered(self: Registry, version: str | int, target: Path) -> Any:
        real(self, version, target)
        with (target / "policy.onnx").open("ab") as stream:
            stream.write(b"x")
        return bundles.load(target)

    with monkeypatch.context() as patch:
        patch.setattr(Registry, "fetch", tampered)
        assert one.refresh() is False
    assert "version 2 is refused, the last good one serves" in str(one.trouble)
    assert one.current.bundle.digest == run.digests[0]
    # It is not fetched again at every look, but once some time has passed.
    assert one.refresh() is False
    monkeypatch.setattr("serving.live.champion.RETRY_SECONDS", 0.0)
    assert one.refresh() is True
    assert one.current.bundle.digest == run.digests[1]


def test_a_bundle_of_another_state_layout_is_refused(run: Run, monkeypatch: Any) -> None:
    other = replace(ALLOCATION, platform_fields=ALLOCATION.platform_fields[::-1])
    run.registry.register(save_bundle(run.out / "version3", run.config, 3, layout=other).path, wins=True)
    one = champion(run)
    assert one.refresh() is False
    assert f"layout allocation version 1, {other.digest[:12]}; this server serves allocation version 1" in str(
        one.trouble
    )
    assert one.current.bundle.digest == run.digests[0]
    unknown = replace(ALLOCATION, kind="journey")
    with monkeypatch.context() as patch:
        patch.setitem(KINDS, "journey", (1,))
        run.registry.register(save_bundle(run.out / "version4", run.config, 4, layout=unknown).path, wins=True)
    assert one.refresh() is False
    assert "layout journey version 1: this version of crossmix builds allocation version 1" in str(one.trouble)
    assert one.current.bundle.digest == run.digests[0]


def test_a_bundle_of_other_platforms_is_refused(run: Run) -> None:
    made = save_bundle(run.out / "version3", run.config, 3, platforms=("a", "b"))
    run.registry.register(made.path, wins=True)
    one = champion(run)
    assert one.refresh() is False
    assert "this server serves platform0" in str(one.trouble)
    assert one.current.bundle.digest == run.digests[0]
    # It was the first that the registry told of: of the run's own bundle nobody knows which version it is.
    assert one.ready is False
    assert one.awaited.startswith(
        "bundle: version 3 is refused, and there is no other to answer by (platforms.json: a, "
    )
    run.registry.rollback(actor="ann")
    one.refresh()
    assert (one.ready, one.current.version, one.trouble) == (True, 1, None)


def test_nothing_to_serve_is_an_error_and_a_spoilt_note_is_no_reason_to_stop(run: Run) -> None:
    with pytest.raises(BundleError, match="holds none"):
        Champion(run.out / "serving", None, run.out / "nowhere")
    own = run.out / "serving" / "bundles"
    own.mkdir(parents=True)
    (own / "serving.json").write_text(json.dumps({"folder": "gone", "version": 7, "since": 0}))
    assert champion(run).current.bundle.digest == run.digests[0]


def test_old_bundles_are_tidied_away(run: Run, monkeypatch: Any) -> None:
    monkeypatch.setattr("serving.live.champion.KEPT", 1)
    one = champion(run)
    for version in (2, 1, 2):
        run.registry.promote(version, actor="ann", reason="turn")
        one.refresh()
    folders = [file.parent.name for file in (run.out / "serving" / "bundles").glob("*/manifest.json")]
    assert folders == [run.digests[1][:16]]
    shutil.rmtree(run.out / "serving")
