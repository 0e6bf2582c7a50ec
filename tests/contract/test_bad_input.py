"""Input that cannot be used ends with one error naming field, value and remedy; a bad row goes to the quarantine."""

from __future__ import annotations

import gzip
import importlib.util
import os
from pathlib import Path

import pandas as pd
import pytest

from crossmix.config import load
from crossmix.ingest import ingest
from crossmix.schema import DataError
from crossmix.sources.criteo import PUBLIC_COLUMNS
from tests.raw_logs import DAY, impressions, plan, public_row, row, run, write_public

HOURS = range(24 * 4)


def _criteo(path: Path) -> None:
    out = path.parent / "out"
    out.mkdir()
    ingest(load("laptop", ["data.source=criteo", f"data.path={path}"]), out)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"data\.path: .*nowhere\.tsv' does not exist; pass .*--data"):
        _criteo(tmp_path / "nowhere.tsv")


def test_folder_instead_of_file(tmp_path: Path) -> None:
    (tmp_path / "log.tsv").mkdir()
    with pytest.raises(DataError, match=r"data\.path: .* is not a file"):
        _criteo(tmp_path / "log.tsv")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_unreadable_file(tmp_path: Path) -> None:
    write_public(tmp_path / "log.tsv", [public_row(0)])
    (tmp_path / "log.tsv").chmod(0)
    with pytest.raises(DataError, match=r"data\.path: .* cannot be read .*; check its permissions"):
        _criteo(tmp_path / "log.tsv")


@pytest.mark.parametrize("content", [b"", gzip.compress(b"")])
def test_empty_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / ("log.tsv.gz" if content else "log.tsv")
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"data\.path: .* is empty; pass a log with a header and rows"):
        _criteo(path)


def test_header_without_rows(tmp_path: Path) -> None:
    write_public(tmp_path / "log.tsv", [])
    with pytest.raises(DataError, match=r"impressions: the table is empty .*; pass a log with rows"):
        _criteo(tmp_path / "log.tsv")


def test_truncated_gzip(tmp_path: Path) -> None:
    path = tmp_path / "log.tsv.gz"
    write_public(path, [public_row(hour * 3_600) for hour in HOURS])
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DataError, match=r"data\.path: .* is a truncated gzip file; fetch it again"):
        _criteo(path)


def test_gzip_in_name_only(tmp_path: Path) -> None:
    path = tmp_path / "log.tsv.gz"
    path.write_bytes(b"timestamp\tuid\n1\t2\n")
    with pytest.raises(DataError, match=r"data\.path: .* is not a sound gzip file .*; fetch it again"):
        _criteo(path)


def test_binary_file(tmp_path: Path) -> None:
    (tmp_path / "log.tsv").write_bytes(bytes(range(128, 256)))
    with pytest.raises(DataError, match=r"data\.path: .* is not text"):
        _criteo(tmp_path / "log.tsv")


def test_missing_column_in_a_file(tmp_path: Path) -> None:
    columns = tuple(name for name in PUBLIC_COLUMNS if name != "cost")
    write_public(tmp_path / "log.tsv", [public_row(0)], columns)
    with pytest.raises(DataError, match=r"cost: column is missing from .*: restore it"):
        _criteo(tmp_path / "log.tsv")


def test_missing_column_in_a_table(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"impressions\.price_paid: column is missing; the table has .*\. Add it"):
        run(tmp_path, impressions().drop(columns="price_paid"))


def test_wrong_type_in_a_file(tmp_path: Path) -> None:
    rows = [public_row(hour * 3_600, cost=f"EUR {hour}") for hour in HOURS]
    write_public(tmp_path / "log.tsv", rows)
    with pytest.raises(
        DataError, match=r"cost 'EUR \d+' is not of type float64, nor are 96 of 96 rows; give the column"
    ):
        _criteo(tmp_path / "log.tsv")


def test_wrong_type_in_a_table(tmp_path: Path) -> None:
    log = impressions()
    log["timestamp"] = log["timestamp"].astype(str)
    with pytest.raises(
        DataError, match=r"impressions\.timestamp: column is of type string, the contract wants timestamp"
    ):
        run(tmp_path, log)


def test_short_and_long_lines(tmp_path: Path) -> None:
    path = tmp_path / "log.tsv"
    write_public(path, [public_row(hour * 3_600) for hour in HOURS])
    path.write_text(path.read_text() + "5\tu1\n")
    _criteo(path)
    (tmp_path / "long").mkdir()
    longer = tmp_path / "long" / "log.tsv"
    longer.write_text(path.read_text() + "\t".join(["1"] * 30) + "\n")
    with pytest.raises(DataError, match=r"data\.path: the log cannot be read .*; repair that line"):
        _criteo(longer)


BAD_ROWS = [
    ({"price_paid": -1.0}, "price_paid_negative", "price_paid -1.0: must be at least 0 (currency per impression)"),
    (
        {"price_paid": float("inf"), "bid_price": None},
        "price_paid_not_finite",
        "price_paid inf: must be a finite number",
    ),
    ({"price_paid": 9.0}, "price_above_bid", "bid_price 3.0, price_paid 9.0: a second price is at most the bid"),
    ({"user_id": None}, "user_id_missing", "user_id None: the contract wants a value"),
    ({"revenue": 1.0}, "revenue_without_conversion", "converted False, revenue 1.0: revenue needs a conversion"),
    (
        {"clicked": True, "converted": True, "conversion_timestamp": DAY},
        "clock_out_of_order",
        "timestamp '2025-01-14 08:00:00', conversion_timestamp '2025-01-06 00:00:00': "
        "a conversion cannot come before its impression; correct the clock",
    ),
]


@pytest.mark.parametrize(("changes", "code", "reason"), BAD_ROWS, ids=[code for _, code, _ in BAD_ROWS])
def test_bad_row_is_quarantined(tmp_path: Path, changes: dict[str, object], code: str, reason: str) -> None:
    dataset = run(tmp_path, impressions(row(200, **changes)))
    assert dataset.meta.rows["quarantined"] == {code: 1}
    assert dataset.meta.rows["ingested"] == 96
    (kept,) = dataset.frame("quarantine").to_dict("records")
    assert (kept["table"], kept["reason"]) == ("impressions", reason)
    assert '"i200"' in kept["row"]


BAD_PLANS = [
    ({"platform": "fax"}, "unknown_platform", "platform 'fax': not in the log, which has search, social"),
    ({"campaign_id": "x"}, "unknown_campaign", "campaign_id 'x': not in the log"),
    ({"min": 0.5, "max": 0.4}, "min_above_max", "min 0.5, max 0.4: the floor is above the cap; lower one"),
    ({"max": 1.5}, "max_above_1", "max 1.5: must be at most 1 (share of the cycle budget)"),
    ({"planned_budget": -3.0}, "planned_budget_negative", "planned_budget -3.0: must be at least 0 (currency per day)"),
]


@pytest.mark.parametrize(("changes", "code", "reason"), BAD_PLANS, ids=[code for _, code, _ in BAD_PLANS])
def test_bad_plan_row_is_quarantined(tmp_path: Path, changes: dict[str, object], code: str, reason: str) -> None:
    dataset = run(tmp_path, impressions(), plans=[plan(platform="social"), plan(**changes)])
    assert dataset.meta.rows["quarantined"] == {code: 1}
    assert dataset.frame("quarantine")["reason"].tolist() == [reason]
    assert dataset.frame("plans")["platform"].tolist() == ["social"]


def test_contradicting_plan_rows_are_quarantined(tmp_path: Path) -> None:
    rows = [plan(platform="social"), plan(), plan(planned_budget=11.0)]
    assert run(tmp_path, impressions(), plans=rows).meta.rows["quarantined"] == {"campaign_id_conflict": 2}


def test_infeasible_limits(tmp_path: Path) -> None:
    rows = [plan(min=0.6), plan(platform="social", min=0.6)]
    with pytest.raises(DataError, match=r"plans\.min: the mins of c on 2025-01-06 sum to 1\.2, above 1; lower"):
        run(tmp_path, impressions(), plans=rows)
    (tmp_path / "caps").mkdir()
    rows = [plan(max=0.3), plan(platform="social", max=0.3)]
    with pytest.raises(DataError, match=r"plans\.max: the maxes of c on 2025-01-06 sum to 0\.6, below 1; raise"):
        run(tmp_path / "caps", impressions(), plans=rows)


def test_no_valid_row_left(tmp_path: Path) -> None:
    log = impressions().assign(price_paid=-1.0)
    with pytest.raises(
        DataError, match=r"impressions: none of 96 rows is valid; 96 are rejected as price_paid_negative"
    ):
        run(tmp_path, log)


def test_log_too_short_for_three_splits(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"timestamp: .* 1 cycle\(s\) of 24 h.*lower data\.cycle_hours"):
        run(tmp_path, impressions(sound=20))


def test_clock_gone_astray(tmp_path: Path) -> None:
    far = row(1, impression_id="far", timestamp=pd.Timestamp("2199-01-01"))
    with pytest.raises(DataError, match=r"timestamp: .* cycles of 1 h; correct the clock"):
        run(tmp_path, impressions(far), cycle_hours=1)


@pytest.mark.skipif(importlib.util.find_spec("pyspark") is not None, reason="the extra 'spark' is installed")
def test_spark_without_its_extra(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"data\.engine: 'spark' needs PySpark; install the extra"):
        run(tmp_path, impressions(), engine="spark")
