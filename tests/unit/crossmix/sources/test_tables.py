"""Tables to Parquet in a stream, and numbers that are the same in every run."""

from __future__ import annotations

import gzip
from pathlib import Path

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crossmix.schema import DataError
from crossmix.sources import tables
from crossmix.sources.tables import read_header, rounded, write

SCHEMA = pa.schema([("number", pa.int16()), ("name", pa.string())])


def test_a_sum_half_way_between_two_numbers_is_rounded_alike_whatever_its_last_bits() -> None:
    for half in (15.853405725, 12.082660245, 10.741103145):
        near = [half * (1 + ulps * 2.0**-52) for ulps in range(-20, 21)]
        assert len({f"{value:.10g}" for value in near}) == 2, "their last bits decide"
        assert len({rounded(value) for value in near}) == 1


def test_ten_digits_are_kept() -> None:
    assert rounded(1.23456789049) == 1.23456789
    assert rounded(1.23456789051) == 1.234567891
    assert rounded(-2e-7 / 3) == -6.666666667e-08
    assert rounded(None) == rounded(0.0) == 0


def _table(rows: int) -> pa.Table:
    number = np.arange(rows)
    names = pa.array([f"name {n % 7}" for n in number], pa.string())
    return pa.table({"name": names, "number": number.astype("int64")})


@pytest.mark.parametrize("rows", [0, 1, 9_000])
def test_batches_encoded_beside_the_query_give_the_bytes_of_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    monkeypatch.setattr(tables, "BATCH", 2_048)
    table = ibis.duckdb.connect().create_table("log", _table(rows))
    write(table, SCHEMA, tmp_path / "table.parquet", ["number"])
    with pq.ParquetWriter(tmp_path / "wanted.parquet", SCHEMA) as writer:
        for batch in table.order_by("number").to_pyarrow_batches(chunk_size=2_048):
            writer.write_table(pa.Table.from_batches([batch]).select(SCHEMA.names).cast(SCHEMA))
    assert (tmp_path / "table.parquet").read_bytes() == (tmp_path / "wanted.parquet").read_bytes()
    assert pq.read_table(tmp_path / "table.parquet").column("number").to_pylist() == list(range(rows))


def test_a_batch_that_does_not_fit_the_schema_fails_the_writing(tmp_path: Path) -> None:
    table = ibis.duckdb.connect().create_table("log", _table(100_000))
    with pytest.raises(pa.ArrowInvalid, match="not in range"):
        write(table, SCHEMA, tmp_path / "table.parquet", ["number"])


@pytest.mark.parametrize("separator", [";", "|"])
def test_another_separator_is_named(separator: str, tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(separator.join(("uid", "campaign", "click", "cost")) + "\n")
    with pytest.raises(DataError, match=rf"data\.path: the columns of .* are separated by '\{separator}'"):
        read_header(tmp_path / "log.csv")


def test_a_log_without_a_header_is_named(tmp_path: Path) -> None:
    (tmp_path / "log.tsv").write_text("0\t23\tb7ea\t20130606000104008\t1\tnull\t216\t217\t300\t300\n")
    with pytest.raises(DataError, match=r"data\.path: .* has no header: its first line is '0.*put a line with the col"):
        read_header(tmp_path / "log.tsv")


def test_a_packed_log_under_a_plain_name_is_named(tmp_path: Path) -> None:
    (tmp_path / "log.tsv").write_bytes(gzip.compress(bytes(range(256)) * 40, mtime=0))
    with pytest.raises(DataError, match=r"data\.path: .* is packed by gzip; let its name end in \.gz"):
        read_header(tmp_path / "log.tsv")
