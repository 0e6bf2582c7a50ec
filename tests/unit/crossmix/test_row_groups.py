"""Parquet written piece by piece: the bytes of one write, and how much waits at a time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crossmix import row_groups

ROWS = 150_000
SCHEMA = pa.schema([("name", pa.string()), ("p", pa.float32()), ("events", pa.list_(pa.int32()))])


def columns(rows: int = ROWS) -> list[pa.Array]:
    """Names, numbers and lists of 0 to 39 16-bit integers, many pages of them."""
    rng = np.random.default_rng(0)
    length = rng.integers(0, 40, rows)
    offsets = np.concatenate([[0], np.cumsum(length)]).astype(np.int32)
    values = rng.integers(0, 30_000, offsets[-1], dtype=np.int16)
    lists = pa.ListArray.from_arrays(pa.array(offsets), pa.array(values))
    return [pa.array([f"i{k:07d}" for k in range(rows)]), pa.array(rng.random(rows, np.float32)), lists]


@pytest.mark.parametrize("group", [60_000, 1_048_576])
def test_the_bytes_are_those_of_one_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, group: int) -> None:
    monkeypatch.setattr(row_groups, "PIECE", 8_192)
    whole = columns()
    table = pa.Table.from_arrays(
        [part.cast(field.type) for part, field in zip(whole, SCHEMA, strict=True)], SCHEMA.names
    )
    pq.write_table(table, tmp_path / "one", row_group_size=group)
    with row_groups.row_groups(tmp_path / "pieces", SCHEMA, group) as file:
        for start in range(0, ROWS, 7_001):
            file.add([part.slice(start, 7_001) for part in whole])
    assert (tmp_path / "pieces").read_bytes() == (tmp_path / "one").read_bytes()


def test_a_row_group_waits_and_no_more(tmp_path: Path) -> None:
    whole, waited = columns(5_000), []
    with row_groups.row_groups(tmp_path / "file", SCHEMA, 1_200) as file:
        for start in range(0, 5_000, 500):
            file.add([part.slice(start, 500) for part in whole])
            waited.append((file.rows, file.waiting[2][0].type if file.rows else None))
    assert max(rows for rows, _ in waited) < 1_200
    assert {kind for _, kind in waited} <= {pa.list_(pa.int16()), None}, "in the integers they came in"
    metadata = pq.read_metadata(tmp_path / "file")
    assert [metadata.row_group(k).num_rows for k in range(metadata.num_row_groups)] == [1_200] * 4 + [200]
    assert pq.read_table(tmp_path / "file")["events"].to_pylist() == whole[2].to_pylist()


def test_a_list_column_is_encoded_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_groups, "PIECE", 1_000)
    lists = columns(20_000)[2]
    waiting = [lists.slice(start, 900) for start in range(0, 20_000, 900)]
    pieces = list(row_groups._pieces(waiting, pa.list_(pa.int32())))
    assert not waiting
    assert len(pieces) > 5
    for piece in pieces[:-1]:
        assert np.maximum(np.asarray(piece.value_lengths()), 1).sum() % row_groups.PORTION == 0
    assert pa.concat_arrays(pieces).to_pylist() == lists.to_pylist()


def test_null_lists_and_no_rows_at_all(tmp_path: Path) -> None:
    schema = pa.schema([("events", pa.list_(pa.int32()))])
    lists = pa.array([[1], None, []], pa.list_(pa.int16()))
    with row_groups.row_groups(tmp_path / "null", schema) as file:
        file.add([lists])
    with row_groups.row_groups(tmp_path / "none", schema):
        pass
    assert pq.read_table(tmp_path / "null")["events"].to_pylist() == [[1], None, []]
    pq.write_table(schema.empty_table(), tmp_path / "empty")
    assert (tmp_path / "none").read_bytes() == (tmp_path / "empty").read_bytes()


def test_what_has_been_read_does_not_stay(tmp_path: Path) -> None:
    """A file of 16 MB in 8 row groups: at no time is a quarter of it in memory, and the rows are those that it has."""
    numbers = np.random.default_rng(0).random(2_000_000)
    path = tmp_path / "file"
    pq.write_table(pa.table({"p": numbers, "row": np.arange(2_000_000, dtype=np.int16)}), path, row_group_size=250_000)
    before, most, start = pa.total_allocated_bytes(), 0, 0
    for batch in row_groups.batches(path, 10_000, ["p"]):
        assert batch.schema.names == ["p"]
        np.testing.assert_array_equal(batch["p"].to_numpy(), numbers[start : start + batch.num_rows])
        start += batch.num_rows
        most = max(most, pa.total_allocated_bytes() - before)
    assert start == 2_000_000
    assert 80_000 < most < 4_000_000 < 16_000_000 < path.stat().st_size
