"""Behaviour sequences, written and read batch by batch, against plain pandas."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crossmix import sequences
from crossmix.schema import DataError, Dataset, Meta
from feature_repo import behaviour, sources
from tests.support.parts import in_parts

START = pd.Timestamp("2024-03-01")
META = Meta(
    source="demo", generated=True, currency="USD", platforms=("p",), campaigns=("c",), start="2024-03-02",
    cycle_hours=24, cycles=3, first_cycle={}, modalities=(), provenance={}, weekday_pattern=False, digest="0",
)  # fmt: skip
FILE = sources.SOURCES[sources.USER_VIEW]


def log(folder: Path, minutes: np.ndarray, users: np.ndarray) -> tuple[Dataset, pd.DataFrame]:
    """A dataset of such rows, in their order."""
    rows = len(minutes)
    times = pd.Series(START + pd.to_timedelta(minutes, unit="min")).astype("datetime64[us]")
    ids, events = [f"i{k:04d}" for k in range(rows)], [[k % 7 + 1] * (k % 4) for k in range(rows)]
    frame = pd.DataFrame({"impression_id": ids, "timestamp": times, "user_id": [f"u{user}" for user in users]})
    frame.to_parquet(folder / "impressions.parquet", index=False)
    kind = pa.list_(pa.int16())
    pq.write_table(pa.table({"impression_id": ids, "events": pa.array(events, kind)}), folder / "sequences.parquet")
    (folder / "meta.json").write_text(json.dumps(asdict(META)))
    return Dataset(folder), frame.assign(events=events)


def expected(frame: pd.DataFrame) -> pd.DataFrame:
    kept = frame.drop_duplicates(["user_id", "timestamp"], keep="last").sort_values(["timestamp", "user_id"])
    kept = kept.assign(event_timestamp=kept["timestamp"].dt.tz_localize("UTC"))
    return kept[["user_id", "event_timestamp", "events"]].reset_index(drop=True)


def plain(frame: pd.DataFrame) -> list[tuple[object, ...]]:
    return [(row.user_id, row.event_timestamp, list(row.events)) for row in frame.itertuples()]


@pytest.mark.parametrize("instants", [5, 40, 3_000])
def test_one_row_of_a_user_and_instant_in_order_of_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, instants: int
) -> None:
    """Instants that span batches, that end inside of one, and that have a row or none."""
    rng = np.random.default_rng(instants)
    dataset, frame = log(tmp_path, np.sort(rng.integers(instants, size=500)), rng.integers(30, size=500))
    monkeypatch.setattr(behaviour, "side_by_side", lambda *given: sequences.side_by_side(*given, 64))
    with caplog.at_level(logging.WARNING):
        rows = behaviour.write_sequences(tmp_path, dataset)
    found = pd.read_parquet(tmp_path / FILE)
    assert plain(found) == plain(expected(frame))
    assert rows == len(found)
    assert not caplog.records
    assert pq.read_schema(tmp_path / FILE).field("events").type == pa.list_(pa.int32())


def test_the_file_is_the_one_that_a_dataset_in_another_order_gives(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rng = np.random.default_rng(0)
    dataset, _ = log(tmp_path, np.sort(rng.integers(40, size=300)), rng.integers(30, size=300))
    (tmp_path / "streamed").mkdir()
    behaviour.write_sequences(tmp_path / "streamed", dataset)
    reversed_rows = pq.read_table(tmp_path / "sequences.parquet").take(np.arange(300)[::-1])
    pq.write_table(reversed_rows, tmp_path / "sequences.parquet")
    with caplog.at_level(logging.WARNING):
        behaviour.write_sequences(tmp_path, dataset)
    assert [record.message for record in caplog.records] == [
        "sequences: impression_id is in another order than in impressions: joined by name, which takes memory for "
        "every impression's"
    ]
    assert (tmp_path / FILE).read_bytes() == (tmp_path / "streamed" / FILE).read_bytes()


@pytest.mark.parametrize("order", [1, -1])
def test_a_dataset_in_parts_gives_the_same_file(tmp_path: Path, order: int) -> None:
    """As Spark writes it, cut within an instant; also where the tables' orders differ."""
    rng = np.random.default_rng(3)
    (tmp_path / "one").mkdir()
    dataset, _ = log(tmp_path / "one", np.sort(rng.integers(40, size=300)), rng.integers(30, size=300))
    table = pq.read_table(tmp_path / "one" / "sequences.parquet")
    pq.write_table(table.take(np.arange(300)[::order]), tmp_path / "one" / "sequences.parquet")
    cuts = {"impressions": [90, 90, 210], "sequences": [150]}
    parts = Dataset(in_parts(tmp_path / "one", tmp_path / "parts", cuts))
    written = [(behaviour.write_sequences(each.path, each), each.path / FILE) for each in (dataset, parts)]
    assert written[0][0] == written[1][0] > 200
    assert written[0][1].read_bytes() == written[1][1].read_bytes()


def test_impressions_out_of_time_are_sorted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rng = np.random.default_rng(1)
    dataset, frame = log(tmp_path, rng.integers(40, size=300), rng.integers(30, size=300))
    with caplog.at_level(logging.WARNING):
        behaviour.write_sequences(tmp_path, dataset)
    assert plain(pd.read_parquet(tmp_path / FILE)) == plain(expected(frame))
    assert "timestamp is not in order" in caplog.text


def test_a_row_group_at_a_time_is_written(tmp_path: Path) -> None:
    dataset, frame = log(tmp_path, np.arange(500), np.arange(500) % 30)
    behaviour.write_sequences(tmp_path, dataset, group=200)
    metadata = pq.read_metadata(tmp_path / FILE)
    assert [metadata.row_group(k).num_rows for k in range(metadata.num_row_groups)] == [200, 200, 100]
    assert plain(pd.read_parquet(tmp_path / FILE)) == plain(expected(frame))


MOST = """
import sys
from pathlib import Path
import pyarrow as pa
from crossmix.schema import Dataset
from feature_repo import behaviour

behaviour.write_sequences(Path(sys.argv[1]), Dataset(Path(sys.argv[1])))
print(pa.default_memory_pool().max_memory())
"""


@pytest.mark.slow  # 3 s of processor time
def test_of_a_long_log_a_small_part_is_in_memory(tmp_path: Path) -> None:
    """300,000 rows of 8 events, each at an instant of its own: the file's row groups, and what Arrow takes at most."""
    rows = 300_000
    times = pa.array(np.arange(rows) * 1_000_000 + START.value // 1_000, pa.timestamp("us"))
    ids, users = (pa.array([f"u{k % most:06d}" for k in range(rows)]) for most in (rows, 9_000))
    events = pa.FixedSizeListArray.from_arrays(pa.array(np.arange(8 * rows) % 7 + 1, pa.int16()), 8)
    events = events.cast(pa.list_(pa.int16()))
    impressions = pa.table({"impression_id": ids, "timestamp": times, "user_id": users})
    pq.write_table(impressions, tmp_path / "impressions.parquet", row_group_size=65_536)
    sequences = pa.table({"impression_id": ids, "events": events})
    pq.write_table(sequences, tmp_path / "sequences.parquet", row_group_size=65_536)
    (tmp_path / "meta.json").write_text(json.dumps(asdict(META)))
    done = subprocess.run([sys.executable, "-c", MOST, str(tmp_path)], check=True, stdout=subprocess.PIPE, text=True)
    assert int(done.stdout) < 30_000_000, "50 MB with a dictionary of times"
    metadata = pq.read_metadata(tmp_path / FILE)
    assert [metadata.row_group(k).num_rows for k in range(metadata.num_row_groups)] == [131_072, 131_072, 37_856]
    columns = [metadata.row_group(0).column(k) for k in range(3)]
    assert {one.path_in_schema: one.has_dictionary_page for one in columns} == {
        "user_id": True, sources.TIME: False, "events.list.element": True,
    }  # fmt: skip
    found = pq.read_table(tmp_path / FILE)
    assert found["user_id"].equals(pa.chunked_array([users]))
    assert found["events"].equals(pa.chunked_array([events.cast(pa.list_(pa.int32()))]))
    newest = pd.concat(behaviour.newest(tmp_path, 2_000))
    assert newest["user_id"].tolist() == users.to_pylist()[-9_000:], "over the ends of row groups"


def test_the_newest_of_each_user_some_at_a_time(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    dataset, frame = log(tmp_path, np.arange(500), rng.integers(60, size=500))
    behaviour.write_sequences(tmp_path, dataset)
    parts = list(behaviour.newest(tmp_path, 25))
    assert max(len(part) for part in parts) == 25
    last = expected(frame).drop_duplicates("user_id", keep="last")
    assert plain(pd.concat(parts)) == plain(last)


def test_a_lost_sequence_is_told(tmp_path: Path) -> None:
    dataset, _ = log(tmp_path, np.zeros(2), np.arange(2))
    pq.write_table(pa.table({"impression_id": ["i0000"], "events": [[1]]}), tmp_path / "sequences.parquet")
    with pytest.raises(DataError, match="'i0001' has no behaviour sequence"):
        behaviour.write_sequences(tmp_path, dataset)


def test_a_missing_time_is_told_with_its_row(tmp_path: Path) -> None:
    dataset, frame = log(tmp_path, np.arange(3), np.arange(3))
    frame["timestamp"] = frame["timestamp"].where(frame.index != 1)
    frame.drop(columns="events").to_parquet(tmp_path / "impressions.parquet", index=False)
    with pytest.raises(DataError, match="row 1 has no time"):
        behaviour.write_sequences(tmp_path, dataset)


def test_the_span_is_of_all_views_in_whatever_order_their_rows_are(tmp_path: Path) -> None:
    minutes = {
        sources.PLATFORM_VIEW: [5, 3, 4], sources.CAMPAIGN_VIEW: [6, 9, 7], sources.CREATIVE_VIEW: [2, 1, 2],
        sources.USER_VIEW: [],
    }  # fmt: skip
    for view, times in minutes.items():
        moments = pd.DatetimeIndex([START + pd.Timedelta(minutes=one) for one in times], tz="UTC")
        column = pa.array(moments, pa.timestamp("us", tz="UTC"))
        sources.write(pa.table({sources.TIME: column}), tmp_path / sources.SOURCES[view])
    first, last = (START.tz_localize("UTC") + pd.Timedelta(minutes=one) for one in (1, 9))
    assert behaviour.span(tmp_path) == (first, last)
    for view in minutes:
        empty = pa.table({sources.TIME: pa.array([], pa.timestamp("us", tz="UTC"))})
        sources.write(empty, tmp_path / sources.SOURCES[view])
    assert behaviour.span(tmp_path) is None
