"""Impressions and their behaviour sequences, read side by side: ingest writes both tables in one order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from crossmix.schema import Dataset

if TYPE_CHECKING:
    import pyarrow as pa

ROWS = 16_384
"""Rows that are read at a time; of 30 events each, as 64-bit integers, 4 MiB."""


class OtherOrderError(ValueError):
    """The two tables do not hold the same impressions in the same order."""


def side_by_side(
    dataset: Dataset, columns: Sequence[str], rows: int = ROWS
) -> Iterator[tuple[pa.RecordBatch, pa.ListArray]]:
    """Some columns of the impressions, at most `rows` at a time, and their events; every impression_id is compared.

    Raises:
        OtherOrderError: sequences.parquet has other impressions, or another order; what came so far is right.
        OSError, ValueError, KeyError: a file or a column cannot be read.
    """
    import pyarrow as pa

    left = _Rows(dataset.batches("impressions", list(dict.fromkeys(["impression_id", *columns])), rows))
    right = _Rows(dataset.batches("sequences", ["impression_id", "events"], rows))
    while (count := min(left.fill(), right.fill())) > 0:
        impressions, sequences = left.take(count), right.take(count)
        names = (part.column("impression_id").cast(pa.string()) for part in (impressions, sequences))
        if not next(names).equals(next(names)):
            raise OtherOrderError("sequences: impression_id is in another order than in impressions")
        yield impressions.select(list(columns)), sequences.column("events")
    if left.fill() or right.fill():
        raise OtherOrderError("sequences: other rows than impressions")


class _Rows:
    """Batches of which any number of rows may be taken."""

    def __init__(self, batches: Iterator[pa.RecordBatch]) -> None:
        self.batches = batches
        self.rest: pa.RecordBatch | None = None

    def fill(self) -> int:
        """How many rows can be taken at once; 0 at the end."""
        while self.rest is None or not self.rest.num_rows:
            self.rest = next(self.batches, None)
            if self.rest is None:
                return 0
        return int(self.rest.num_rows)

    def take(self, count: int) -> pa.RecordBatch:
        assert self.rest is not None
        taken, self.rest = self.rest.slice(0, count), self.rest.slice(count)
        return taken
