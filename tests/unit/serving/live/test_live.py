"""What a server holds while its database is away, and once it is back."""

from __future__ import annotations

from pathlib import Path

import pytest

from crossmix.bundle import annotate
from crossmix.config import laptop
from crossmix.ledger import audit
from serving.campaigns.lane import Lane
from serving.live.champion import Champion
from serving.live.live import Live
from tests.support.markets import make_market
from tests.support.planned_bundles import publish


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved") / "bundle"
    publish(folder, market=make_market(seed=3, campaigns=2, platforms=6))
    return folder


def of_database(live: Live) -> list[str]:
    return [one["why"] for one in live.troubles() if one["what"] == "database"]


def test_a_database_that_is_away_is_told_until_it_is_read_again(bundle: Path, tmp_path: Path) -> None:
    file = tmp_path / "serving.db"
    file.mkdir()  # no database can be opened there
    url = f"sqlite:///{file}"
    live = Live(laptop(), tmp_path / "own", url, Champion(tmp_path / "own", None, bundle), tmp_path / "features")
    live.reload()
    assert (live.campaigns, len(of_database(live))) == ({}, 1)
    live._look()
    assert len(of_database(live)) == 1
    file.rmdir()
    # A look reads everything again that could not be read.
    live._look()
    assert of_database(live) == []
    assert sorted(live.campaigns) == sorted(live.bundle.contexts)
    assert live.experiment.id == laptop().serving.experiment
    # The run's own bundle has no version: that it serves is no change.
    live.follow_champion()
    assert audit.trail(live.store, actions=["bundle.serve"]) == []
    store = live.store
    store.trouble, store.since = "its disk is full", 1_000.0
    assert of_database(live) == ["it cannot be written: its disk is full"]
    live.stop()


def test_a_new_campaigns_context_is_of_campaigns_that_run(tmp_path: Path) -> None:
    publish(tmp_path / "bundle", market=make_market(seed=3, campaigns=2, platforms=6))
    bundle = annotate(tmp_path / "bundle", [], ended={"c0": "2025-03-06"})
    file = f"sqlite:///{tmp_path / 'serving.db'}"
    champion = Champion(tmp_path / "own", None, tmp_path / "bundle")
    live = Live(laptop(), tmp_path / "own", file, champion, tmp_path / "features")
    assert live.context(bundle, "new").tolist() == bundle.contexts["c1"].tolist()
    assert live.context(bundle, "c0").tolist() == bundle.contexts["c0"].tolist()
    live.stop()


def test_trouble_of_the_kill_switch_that_passes_as_it_is_told_is_told_whole(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its writer is another thread, which may be done between two looks."""

    class Passing(Lane):
        looks = 0

        @property
        def trouble(self) -> str | None:
            Passing.looks += 1
            return "the database is locked" if Passing.looks == 1 else None

        @trouble.setter
        def trouble(self, value: str | None) -> None:
            """It is what `looks` says."""

    own = tmp_path / "own"
    live = Live(laptop(), own, f"sqlite:///{tmp_path / 'serving.db'}", Champion(own, None, bundle), tmp_path)
    monkeypatch.setattr(live, "lane", Passing(lambda: live.store, own / "other.journal", lambda _: None))
    Passing.looks = 0
    told = [one["why"] for one in live.troubles() if one["what"] == "kill switch"]
    assert told == ["changes are served here alone: the database is locked"]
    assert [one for one in live.troubles() if one["what"] == "kill switch"] == []
    live.stop()
