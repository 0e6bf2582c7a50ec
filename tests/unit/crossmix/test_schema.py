"""crossmix/schema.py: a table of a dataset is a file or a folder of part files."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crossmix.schema import Dataset

WHOLE = pa.table({"impression_id": [f"i{n}" for n in range(10)], "events": [[n] * (n % 3) for n in range(10)]})


@pytest.fixture
def file(tmp_path: Path) -> Dataset:
    (tmp_path / "file").mkdir()
    pq.write_table(WHOLE, tmp_path / "file" / "sequences.parquet")
    return Dataset(tmp_path / "file")


@pytest.fixture
def folder(tmp_path: Path) -> Dataset:
    """Ten parts and more: names are in order, also where numbers are not padded alike by whoever lists them."""
    parts = tmp_path / "folder" / "sequences.parquet"
    parts.mkdir(parents=True)
    for name, first, last in (("part-00010", 7, 10), ("part-00000", 0, 4), ("part-00002", 4, 7), ("part-00001", 4, 4)):
        pq.write_table(WHOLE.slice(first, last - first), parts / f"{name}.parquet")
    (parts / "_SUCCESS").write_text("")
    return Dataset(parts.parent)


def test_parts_are_in_the_order_of_their_names(file: Dataset, folder: Dataset) -> None:
    assert file.parts("sequences") == [file.file("sequences")]
    assert [part.name for part in folder.parts("sequences")] == [
        f"part-{number:05d}.parquet" for number in (0, 1, 2, 10)
    ]


def test_a_folder_reads_as_its_file(file: Dataset, folder: Dataset) -> None:
    pd.testing.assert_frame_equal(folder.frame("sequences"), file.frame("sequences"))
    pd.testing.assert_frame_equal(file.frame("sequences"), pd.read_parquet(file.file("sequences")))
    assert folder.frame("sequences", ["events", "impression_id"]).columns.tolist() == ["events", "impression_id"]


@pytest.mark.parametrize("rows", [1, 3, 100])
def test_batches_hold_the_rows_in_order_and_no_more_than_asked(file: Dataset, folder: Dataset, rows: int) -> None:
    for dataset in (file, folder):
        batches = list(dataset.batches("sequences", ["events", "impression_id"], rows))
        assert max(len(batch) for batch in batches) <= rows
        assert pa.Table.from_batches(batches).equals(WHOLE.select(["events", "impression_id"]))


def test_a_table_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Dataset(tmp_path).frame("impressions")
    (tmp_path / "impressions.parquet").mkdir()
    with pytest.raises(FileNotFoundError, match=r"impressions\.parquet: the folder has no part-\*\.parquet"):
        list(Dataset(tmp_path).batches("impressions"))
