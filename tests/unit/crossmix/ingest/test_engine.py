"""The engine's memory, and how often ingest reads its log, sorts it and writes it down."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from crossmix.config import ConfigError, load
from crossmix.config.data import LEAST_MEMORY
from crossmix.ingest.engine import cleaning_settings, connect, materialise, within_memory
from crossmix.ingest.impressions import ingest_raw
from crossmix.schema import DataError
from crossmix.sources import Backend, Raw, Table
from tests.support.raw_logs import impressions, row


def _setting(backend: Backend, name: str) -> str:
    return str(backend.raw_sql(f"SELECT current_setting('{name}')").fetchone()[0])


def test_the_memory_limit_and_the_work_folder_are_the_engines(tmp_path: Path) -> None:
    backend = connect("duckdb", tmp_path, 2)
    assert _setting(backend, "memory_limit") == "2.0 GiB"
    assert _setting(backend, "temp_directory") == str(tmp_path / "spill")


def test_too_little_memory_is_refused() -> None:
    assert load("laptop", [f"data.memory={LEAST_MEMORY}"]).data.memory == LEAST_MEMORY
    for value in ("0", "-1", str(LEAST_MEMORY / 2), ".inf"):
        with pytest.raises(ConfigError, match=r"data\.memory: .* does not fit"):
            load("laptop", [f"data.memory={value}"])


@pytest.mark.parametrize("streamed", [False, True], ids=["kept", "streamed"])
def test_a_log_for_which_there_is_no_room_names_the_setting(tmp_path: Path, streamed: bool) -> None:
    backend = connect("duckdb", tmp_path, LEAST_MEMORY)
    backend.raw_sql("SET memory_limit = '4MB'")
    backend.raw_sql("SET temp_directory = ''")
    table = backend.sql("SELECT i FROM range(2000000) t(i) ORDER BY hash(i)")
    with pytest.raises(DataError, match=r"data\.memory: DuckDB has no room .*Out of Memory.*; raise it"):
        _run(table, streamed)


def _run(table: Table, streamed: bool) -> None:
    with within_memory():
        if streamed:
            for _ in table.to_pyarrow_batches():
                pass
        else:
            materialise(table)


def test_other_errors_stay_what_they_are() -> None:
    with pytest.raises(KeyError, match="other"), within_memory():
        raise KeyError("other")


def test_memory_is_no_part_of_the_data() -> None:
    data = load("laptop", ["data.memory=2"]).data
    assert cleaning_settings(data) == cleaning_settings(load("laptop").data)


def test_the_log_is_read_once_and_kept_once(tmp_path: Path) -> None:
    statements = _statements(tmp_path, impressions())
    assert [_kept(one) for one in statements if 'FROM "raw"' in one] == ["impression_id, timestamp, user_id"]
    # Beside it keys that repeat (none do), sums, and users of a split: none of them grows with the log's columns.
    assert [kept for one in statements if (kept := _kept(one))][1:] == [
        "impression_id",
        "campaign_id, platform, cycle",
        "split, user_id",
    ]


def test_a_table_that_is_written_is_sorted_once_and_windows_share_a_sort(tmp_path: Path) -> None:
    statements = _statements(tmp_path, impressions())
    ordered = [one.rpartition("ORDER BY")[2] for one in statements if one.rfind("ORDER BY") > one.rfind("FROM")]
    assert [part.count("timestamp") for part in ordered] == [1, 1], "impressions and sequences"
    parts = [part for one in statements for part in one.split("PARTITION BY")[1:]]
    assert len(parts) == 2
    assert len({part.partition("ROWS")[0] for part in parts}) == 1


def test_only_rows_whose_key_repeats_are_compared_as_a_whole(tmp_path: Path) -> None:
    statements = _statements(tmp_path, impressions(row(3), row(200, price_paid=1.0), row(200, price_paid=2.0)))
    whole = [one for one in statements if "DISTINCT * FROM" in one]
    assert len(whole) == 1
    assert "SEMI JOIN" in whole[0]


def _kept(statement: str) -> str:
    """The first columns that a statement keeps, or none."""
    if not statement.startswith("INSERT INTO"):
        return ""
    return ", ".join(name.strip('" ') for name in statement.split("(")[1].split(")")[0].split(",")[:3])


def _statements(folder: Path, log: pd.DataFrame) -> list[str]:
    """What ingest of this log has DuckDB do, in order."""
    backend = connect("duckdb", folder)
    log.to_parquet(folder / "log.parquet", index=False, coerce_timestamps="us")
    raw = backend.read_parquet(str(folder / "log.parquet"), table_name="raw")
    data = replace(load("laptop").data, source="impressions")
    told = {"generated": True, "currency": "EUR", "cycle_hours": 24, "digest": "", "provenance": {}}
    out = folder / "out"
    out.mkdir()
    backend.raw_sql("CALL enable_logging('QueryLog')")
    ingest_raw(Raw(impressions=raw, **told), data, out)  # type: ignore[arg-type]
    rows = backend.raw_sql("SELECT message FROM duckdb_logs WHERE type = 'QueryLog'").fetchall()
    return [" ".join(message.split()) for (message,) in rows]
