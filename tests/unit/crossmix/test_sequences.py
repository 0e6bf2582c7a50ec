"""Impressions and sequences side by side: what is compared, and rows at a time."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crossmix.schema import Dataset
from crossmix.sequences import OtherOrderError, side_by_side

IDS = [f"i{k}" for k in range(10)]
EVENTS = [[k] * (k % 4) for k in range(10)]


def dataset(folder: Path, ids: list[str], events: list[list[int]]) -> Dataset:
    """Impressions in two parts, sequences in one file."""
    parts = folder / "impressions.parquet"
    parts.mkdir()
    for number, some in enumerate((IDS[:3], IDS[3:])):
        pq.write_table(pa.table({"impression_id": some, "user_id": some}), parts / f"part-{number:05d}.parquet")
    pq.write_table(pa.table({"impression_id": ids, "events": events}), folder / "sequences.parquet")
    return Dataset(folder)


def test_rows_of_any_parts_come_together_in_order(tmp_path: Path) -> None:
    read = list(side_by_side(dataset(tmp_path, IDS, EVENTS), ["user_id"], 4))
    assert [part.num_rows for part, _ in read] == [3, 1, 3, 1, 2]
    assert [part.schema.names for part, _ in read] == [["user_id"]] * 5
    assert [name for part, _ in read for name in part.column("user_id").to_pylist()] == IDS
    assert [row for _, events in read for row in events.to_pylist()] == EVENTS


@pytest.mark.parametrize("ids", [IDS[::-1], IDS[:-1], [*IDS, "more"], [*IDS[:-1], "other"], []])
def test_other_rows_or_another_order_are_told(tmp_path: Path, ids: list[str]) -> None:
    events = [[1]] * len(ids) or pa.array([], pa.list_(pa.int64()))
    with pytest.raises(OtherOrderError, match="sequences: "):
        list(side_by_side(dataset(tmp_path, ids, events), ["user_id"], 4))
