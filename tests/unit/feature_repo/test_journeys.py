"""Users' last exposures in the feature store: what the log says of a user comes back online, bit for bit."""

from __future__ import annotations

import json
from pathlib import Path
from threading import Thread

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from crossmix.config import load
from crossmix.ingest.step import ingest
from crossmix.journeys.log import Events, read
from crossmix.schema import DataError, Dataset
from feature_repo import journeys, sources
from feature_repo.journeys import Exposures, UserJourneys, build, held, newest
from tests.support.journeys import events as some_events
from tests.support.journeys_run import SMALL

pytestmark = pytest.mark.slow
KEPT = 7
FEW = ("data.demo.users=150", "data.demo.days=10", "data.demo.campaigns=1", "data.demo.requests_per_day=400")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Events, Path]:
    """The log's exposures, and the feature folder, moved after it was written."""
    root = tmp_path_factory.mktemp("journeys")
    config = load("laptop", [*SMALL, *FEW, "data.sequence_length=4", "journeys.window=4"])
    for name in ("dataset", "features"):
        (root / name).mkdir()
    ingest(config=config, out=root / "dataset")
    said = build(config, root / "dataset", root / "features")
    moved = (root / "features").rename(root / "elsewhere")
    assert json.loads((moved / "journeys.json").read_text()) == said
    events = read(Dataset(root / "dataset"))
    count = np.bincount(events.user_R)
    assert said["most"] == KEPT < count.max()
    assert said["users"] == (count > 0).sum()
    assert said["exposures"] == np.minimum(count, KEPT).sum()
    return events, moved


def expected(events: Events, user: int) -> Exposures:
    row = np.flatnonzero(events.user_R == user)[-KEPT:]
    return Exposures(
        tuple(events.channels[at] for at in events.channel_R[row]),
        tuple(map(bool, events.clicked_R[row])),
        tuple(events.cost_R[row]),
        tuple(events.seconds_R[row]),
        tuple(float(at) if np.isfinite(at) else None for at in events.known_R[row]),
    )


def test_the_store_says_of_every_user_what_the_log_says(built: tuple[Events, Path]) -> None:
    events, folder = built
    users = np.unique(events.user_R)
    found = UserJourneys(folder).of([events.users[user] for user in users])
    for user, one in zip(users, found, strict=True):
        assert one == expected(events, user)
    assert {sold is None for one in found if one is not None for sold in one.known} == {True, False}


def test_times_are_utc_and_the_row_is_of_the_last_exposure(built: tuple[Events, Path]) -> None:
    events, folder = built
    rows = pq.read_table(folder / sources.JOURNEY_SOURCE).to_pandas().set_index("user_id")
    impressions = Dataset(folder.parent / "dataset").frame("impressions", ["user_id", "timestamp"])
    last = impressions.groupby("user_id")["timestamp"].max()
    for user, row in rows.iterrows():
        assert row["event_timestamp"] == pd.Timestamp(last[user], tz="UTC")
        assert row["seconds"][-1] == row["event_timestamp"].timestamp()
    assert len(rows) == len(np.unique(events.user_R))


def test_a_user_that_the_store_does_not_know_is_none(built: tuple[Events, Path]) -> None:
    events, folder = built
    store, known = UserJourneys(folder), events.users[int(events.user_R[0])]
    assert store.of(["nobody", known, "nobody"]) == [None, *store.of([known]), None]
    assert store.of([]) == []


def test_another_thread_may_ask(built: tuple[Events, Path]) -> None:
    events, folder = built
    store, known = UserJourneys(folder), events.users[int(events.user_R[0])]
    found: list[Exposures | None] = []
    thread = Thread(target=lambda: found.extend(store.of([known])))
    thread.start()
    thread.join()
    assert found == store.of([known]) != [None]


def test_another_folder_is_refused(tmp_path: Path) -> None:
    assert not held(None)
    assert not held(tmp_path)
    with pytest.raises(DataError, match=r"holds no journeys\.json; pass a folder that a run of task journeys wrote"):
        UserJourneys(tmp_path)


@pytest.mark.parametrize("name", ["conversion", "attribution", "click_nb", "cpo"])
def test_the_view_gets_no_column_that_is_written_later(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journeys, "COLUMNS", (*journeys.COLUMNS, name))
    with pytest.raises(DataError, match=f"^{name}: .*written later"):
        newest(some_events(3), KEPT)
