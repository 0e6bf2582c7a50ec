"""The impressions as small integers, against plain pandas; what stands in memory for every row."""

from __future__ import annotations

import logging
import mmap
import weakref
from dataclasses import fields
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from crossmix.fusion import table as module
from crossmix.fusion.predict import _distinct
from crossmix.fusion.table import RESERVE, read
from crossmix.schema import Dataset
from tests.support import fusion_toy

ROWS = 2_000


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return fusion_toy.write(tmp_path_factory.mktemp("toy"), rows=ROWS)


def test_columns_are_those_of_plain_pandas(toy: tuple[Path, Path]) -> None:
    table, frame = read(*toy, 30), Dataset(toy[0]).frame("impressions")
    sequences = Dataset(toy[0]).frame("sequences")["events"]
    creatives = pd.read_parquet(toy[1] / "embeddings" / "creatives.parquet")["creative_id"]
    assert (table.user == pd.factorize(frame["user_id"])[0]).all()
    assert (np.array(fusion_toy.CAMPAIGNS)[table.campaign] == frame["campaign_id"]).all()
    assert (np.array(fusion_toy.PLATFORMS)[table.platform] == frame["platform"]).all()
    assert (creatives.to_numpy()[table.creative] == frame["creative_id"]).all()
    for name in ("cycle", "clicked", "converted"):
        assert (getattr(table, name) == frame[name]).all(), name
    reserved = pd.util.hash_array(frame["user_id"].to_numpy(dtype=object)) % RESERVE == 0
    assert (table.train == (frame["split"] == "train") & ~frame["holdout"] & ~reserved).all()
    assert (table.calibrate == (frame["split"] == "validation") & ~frame["holdout"]).all()
    assert (table.judge == (frame["split"] != "train") & frame["holdout"]).all()
    padded = np.array([[0] * (30 - len(ids)) + list(ids) for ids in sequences])
    assert (table.events == padded).all()
    has = table.creatives.has[table.creative]
    assert (table.present(np.arange(ROWS)) == np.column_stack([has, padded[:, -1] > 0])).all()
    assert table.modalities().all()


def test_histories_lie_in_pages_of_their_own(toy: tuple[Path, Path]) -> None:
    """They go back to the system when nobody has the table with them any more, whatever else the heap holds."""
    table = read(*toy, 30)
    base = table.events
    while isinstance(base, np.ndarray):
        base = base.base
    pages = weakref.ref(base.obj if isinstance(base, memoryview) else base)
    assert isinstance(pages(), mmap.mmap)
    del base
    table = table.without_events()
    assert pages() is None
    assert len(table.creative) == ROWS


def test_a_row_takes_small_integers_and_a_byte_for_each_step(toy: tuple[Path, Path]) -> None:
    table = read(*toy, 30)
    columns = {field.name: getattr(table, field.name) for field in fields(table)}
    arrays = {name: column for name, column in columns.items() if isinstance(column, np.ndarray)}
    assert all(len(column) == ROWS for column in arrays.values())
    kinds = {name: column.dtype for name, column in arrays.items() if column.dtype != bool}
    assert kinds == {
        "user": np.int32, "campaign": np.int16, "cycle": np.int32, "platform": np.int16, "creative": np.int16,
        "events": np.uint8,
    }  # fmt: skip
    assert sum(column.nbytes for column in arrays.values()) == ROWS * (14 + 5 + 30)
    assert table.without_events().events.shape == (0, 30)


def test_batches_are_all_that_is_read_at_a_time(toy: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    largest, asked = [], []
    plain = Dataset.batches

    def batches(self: Dataset, table: str, columns: list[str] | None = None, rows: int = 300):  # type: ignore[no-untyped-def]
        asked.append((table, columns))
        for batch in plain(self, table, columns, min(rows, 300)):
            largest.append(batch.num_rows)
            yield batch

    def frame(*given: object) -> None:
        raise AssertionError(f"{given}: a whole table is read")

    before = read(*toy, 30)
    monkeypatch.setattr(Dataset, "batches", batches)
    monkeypatch.setattr(Dataset, "frame", frame)
    after = read(*toy, 30)
    assert max(largest) == 300
    for name in ("user", "creative", "events", "train"):
        assert np.array_equal(getattr(before, name), getattr(after, name)), name
    assert {columns[0] for table, columns in asked if len(columns) == 1} == {"user_id", "impression_id"}


def test_another_order_is_joined_by_name_and_told(
    toy: tuple[Path, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    import shutil

    straight = read(*toy, 30)
    dataset = tmp_path / "dataset"
    shutil.copytree(toy[0], dataset)
    frame = pd.read_parquet(dataset / "sequences.parquet")
    frame.iloc[::-1].to_parquet(dataset / "sequences.parquet", index=False)
    with caplog.at_level(logging.WARNING):
        read(*toy, 30)
        assert not caplog.records
        assert np.array_equal(read(dataset, toy[1], 30).events, straight.events)
    assert "sequences: impression_id is in another order than in impressions: joined by name" in caplog.text


def test_a_null_creative_has_the_last_row(tmp_path: Path) -> None:
    table = read(*fusion_toy.write(tmp_path, rows=200, media=False), 30)
    assert (table.creative == 0).all()
    assert not table.creatives.has[table.creative].any()


@pytest.mark.parametrize("kind", [np.uint8, np.int32])
def test_distinct_histories_are_numbered_as_by_unique(kind: type[np.integer], monkeypatch: pytest.MonkeyPatch) -> None:
    """Shortest first, then in the order of their bytes; the first row of each."""
    from crossmix.fusion import predict

    monkeypatch.setattr(predict, "ROWS", 100)
    rng = np.random.default_rng(0)
    events = rng.integers(1, 3 if kind == np.uint8 else 700, size=(1_003, 6)).astype(kind)
    events[np.arange(6) < 6 - rng.integers(0, 7, size=(1_003, 1))] = 0
    number, first = _distinct(events)
    keys = [(int((row > 0).sum()), row.tobytes()) for row in events]
    order = {key: rank for rank, key in enumerate(sorted(set(keys)))}
    assert number.tolist() == [order[key] for key in keys]
    assert first.tolist() == [keys.index(key) for key in order]
    assert {number.dtype, first.dtype} == {np.dtype(np.int32)}


def test_a_vocabulary_beyond_a_byte_takes_four() -> None:
    assert module._id_type(256) is np.uint8
    assert module._id_type(257) is np.int32
