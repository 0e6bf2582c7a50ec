"""A dataset as Spark's executors write it: tables in folders of part files."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import pyarrow.parquet as pq

from crossmix.schema import Dataset


def in_parts(dataset: Path, folder: Path, cuts: Mapping[str, list[int]]) -> Path:
    """A copy of a dataset; returns its folder.

    Args:
        folder: to be made.
        cuts: table to the rows at which its parts begin, beside the first; the same row twice: a part of none.
    """
    shutil.copytree(dataset, folder)
    for name, starts in cuts.items():
        file = folder / f"{name}.parquet"
        table = pq.read_table(file)
        file.unlink()
        file.mkdir()
        ends = [*starts, table.num_rows]
        for number, (start, end) in enumerate(zip([0, *starts], ends, strict=True)):
            pq.write_table(table.slice(start, end - start), file / f"part-{number:05d}.parquet")
        assert len(Dataset(folder).parts(name)) == len(ends) > 1
    return folder
