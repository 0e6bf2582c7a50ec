"""Input that cannot be used ends with one error naming field, value and remedy; a bad row goes to the quarantine."""

from __future__ import annotations

import gzip
import os
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from crossmix.config import ConfigError, load
from crossmix.ingest.step import ingest
from crossmix.schema import DataError, Dataset
from crossmix.sources.criteo import PUBLIC_COLUMNS
from pipelines import local
from tests.support.public_logs import FORMATS, traffic, write
from tests.support.public_logs import config as public_config
from tests.support.raw_logs import DAY, SOLD, impressions, plan, public_row, row, run, write_public

HOURS = range(24 * 4)


def _criteo(path: Path, *overrides: str) -> None:
    out = path.parent / "out"
    out.mkdir()
    ingest(load("laptop", ["data.source=criteo", f"data.path={path}", *overrides]), out)


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


@pytest.mark.parametrize("content", [b"", gzip.compress(b"", mtime=0)], ids=["plain", "gzip"])
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
    dataset = run(tmp_path, impressions(row(200, **changes)), accept_quarantine=True)
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


NOT_FINITE = [float("nan"), float("inf"), float("-inf")]


@pytest.mark.parametrize("column", ["price_paid", "bid_price", "revenue"])
def test_numbers_that_are_none_are_quarantined(tmp_path: Path, column: str) -> None:
    """NaN as such, not as a missing value: DuckDB holds it to be above every number."""
    bad = [row(200 + place, **SOLD | {column: value}) for place, value in enumerate(NOT_FINITE)]
    dataset = run(tmp_path, impressions(*bad), nan_is_null=False, accept_quarantine=True)
    assert dataset.meta.rows["quarantined"] == {f"{column}_not_finite": 3}
    assert dataset.meta.rows["ingested"] == 96
    reasons = dataset.frame("quarantine")["reason"].tolist()
    assert set(reasons) == {f"{column} {value!r}: must be a finite number" for value in NOT_FINITE}
    assert np.isfinite(dataset.frame("impressions")[["price_paid", "bid_price", "revenue"]]).all(axis=None)


@pytest.mark.parametrize("column", ["planned_budget", "min", "max"])
def test_numbers_that_are_none_in_plans_are_quarantined(tmp_path: Path, column: str) -> None:
    bad = [plan(**{column: value}, date=(DAY + pd.Timedelta(days=n)).date()) for n, value in enumerate(NOT_FINITE)]
    dataset = run(tmp_path, impressions(), plans=[plan(platform="social"), *bad], nan_is_null=False)
    assert dataset.meta.rows["quarantined"] == {f"{column}_not_finite": 3}
    assert dataset.frame("plans")["platform"].tolist() == ["social"]


def test_numbers_that_are_none_in_text_are_quarantined(tmp_path: Path) -> None:
    rows = [public_row(hour * 3_600) for hour in HOURS]
    for number, value in enumerate(("nan", "-NaN", "inf", "-Infinity")):
        rows += [public_row(number, cat2=number, cost=value), public_row(number, cat2=number, cpo=value)]
    write_public(tmp_path / "log.tsv", rows)
    _criteo(tmp_path / "log.tsv", "data.accept_quarantine=true")
    assert Dataset(tmp_path / "out").meta.rows["quarantined"] == {"cost_not_finite": 4, "cpo_not_finite": 4}


def test_a_nan_is_no_platform(tmp_path: Path) -> None:
    """The Criteo slice names platforms by a number."""
    rows = [
        {"": 8_000 * n, "uid": 8, "campaign": 0.5, "conversion": 1, "attribution": 0, "click": 1, "click_nb": 1}
        | {"cost": 0.01, "cpo": 0.2}
        for n in range(60)
    ]
    rows.append(rows[0] | {"": 1, "campaign": "nan"})
    pd.DataFrame(rows).to_csv(tmp_path / "slice.csv", index=False)
    _criteo(tmp_path / "slice.csv")
    meta = Dataset(tmp_path / "out").meta
    assert meta.platforms == ("c01",)
    assert meta.rows["quarantined"] == {"campaign_not_finite": 1}


def test_unknown_platform_in_the_groups(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"data\.platform_groups: 'fax' is not a platform of the log, which has search, social; drop it"
    ):
        run(tmp_path, impressions(), platform_groups={"search": "a", "fax": "a"})


def test_a_log_that_earns_nothing(tmp_path: Path) -> None:
    log = impressions().assign(converted=False, revenue=0.0)
    with pytest.raises(DataError, match=r"revenue: the users fitted on earned nothing .* \(0 conversions\).*pass a"):
        run(tmp_path, log)
    (tmp_path / "late").mkdir()
    late = impressions(row(90, impression_id="late", user_id="u3", **SOLD))
    late.loc[late["impression_id"] == "i8", ["converted", "revenue"]] = [False, 0.0]
    with pytest.raises(DataError, match=r"revenue: the users fitted on earned nothing in the training period"):
        run(tmp_path / "late", late)


def test_a_log_that_costs_nothing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"price_paid: campaign 'c' paid nothing .*; pass a log with costs"):
        run(tmp_path, impressions().assign(price_paid=0.0))


def test_all_users_held_out(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"data\.holdout_users: 1 leaves campaign 'c' no impression to fit on; lower it"
    ):
        run(tmp_path, impressions(), holdout_users=1.0)


PUBLIC = sorted(FORMATS)


def _public(source: str, path: Path, *overrides: str) -> Dataset:
    out = path.parent / "out"
    out.mkdir()
    ingest(public_config(source, path, *overrides), out)
    return Dataset(out)


@pytest.mark.parametrize("source", PUBLIC)
def test_public_formats_refuse_what_is_no_log(tmp_path: Path, source: str) -> None:
    whole = FORMATS[source](traffic())
    broken: dict[str, tuple[bytes, str]] = {
        "empty": (b"", r"data\.path: .* is empty; pass a log with a header and rows"),
        "empty.gz": (gzip.compress(b""), r"data\.path: .* is empty"),
        "binary": (bytes(range(128, 256)), r"data\.path: .* is not text"),
        "plain.gz": (b"a,b", r"data\.path: .* is not a sound gzip file"),
        "short.gz": (write(tmp_path / "x.gz", whole).read_bytes()[:-40], r"data\.path: .* is a truncated gzip file"),
        "header": (write(tmp_path / "x", whole.head(0)).read_bytes(), r"impressions: the table is empty"),
    }
    for name, (content, said) in broken.items():
        path = tmp_path / name / f"log.{name.split('.')[-1]}"
        path.parent.mkdir()
        path.write_bytes(content)
        with pytest.raises(DataError, match=said):
            _public(source, path)
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match=r"data\.path: .* does not exist; pass .*--data"):
        _public(source, tmp_path / "none" / "log")


@pytest.mark.parametrize("source", PUBLIC)
def test_public_formats_refuse_a_wrong_header_and_wrong_types(tmp_path: Path, source: str) -> None:
    whole = FORMATS[source](traffic())
    click = next(name for name in whole.columns if "click" in name)
    with pytest.raises(DataError, match=rf"{click}: column is missing from .*: restore it, or pass the original file"):
        _public(source, write(tmp_path / "a" / "log", whole.drop(columns=click)))
    twice = pd.concat([whole, whole[click]], axis=1)
    with pytest.raises(DataError, match=rf"{click}: column appears twice in .*; keep one"):
        _public(source, write(tmp_path / "b" / "log", twice))
    with pytest.raises(
        DataError, match=rf"{click} 'yes' is not 0 or 1, nor are 96 of 96 rows; give the column {click}"
    ):
        _public(source, write(tmp_path / "c" / "log", whole.assign(**{click: "yes"})))


@pytest.mark.parametrize("source", PUBLIC)
def test_public_formats_quarantine_short_lines_and_contradictions(tmp_path: Path, source: str) -> None:
    whole = FORMATS[source](traffic())
    click = next(name for name in whole.columns if "click" in name)
    other = whole.head(1).assign(**{click: 1 - whole[click].iloc[0]})
    path = write(tmp_path / "log", pd.concat([whole, other]))
    first = str(whole.iloc[0, 0])
    path.write_text(path.read_text() + first + "\n")
    meta = _public(source, path, "data.accept_quarantine=true").meta
    assert meta.rows["quarantined"].pop("impression_id_conflict") == 2
    assert sum(meta.rows["quarantined"].values()) == 1
    assert meta.rows["ingested"] == 95


@pytest.mark.parametrize("source", PUBLIC)
def test_public_formats_must_be_told_what_they_lack(tmp_path: Path, source: str) -> None:
    path = write(tmp_path / "log", FORMATS[source](traffic()))
    nothing = ("data.value_per_click=null", "data.value_per_conversion=null")
    key = "conversion" if source == "kuairand" else "click"
    with pytest.raises(
        DataError, match=rf"data\.value_per_{key}: .* has no revenue; say .*--set data\.value_per_{key}="
    ):
        ingest(public_config(source, path, *nothing), tmp_path)
    both = ("data.value_per_click=1", "data.value_per_conversion=2")
    with pytest.raises(DataError, match=r"2 and 1 are both named, but either .*; drop one"):
        ingest(public_config(source, path, *both), tmp_path)
    if source == "ipinyou":
        return
    with pytest.raises(DataError, match=r"data\.cost_model: .* has no costs, so a cost model must be named; write"):
        ingest(public_config(source, path, "data.cost_model=null"), tmp_path)
    for model in ("cheap", "constant:", "constant:-1", "constant:0", "constant:1,2", "constant:nan", "constant:inf"):
        with pytest.raises(DataError, match=r"data\.cost_model: '.*' is not a cost model; write constant:PRICE"):
            ingest(public_config(source, path, f"data.cost_model={model}"), tmp_path)
    for model in ("lognormal:1", "lognormal:1,0", "lognormal:1,-1", "lognormal:nan,1", "lognormal:99,1"):
        with pytest.raises(DataError, match=r"data\.cost_model: '.*' is not a cost model; .*lognormal:MU,SIGMA"):
            ingest(public_config(source, path, f"data.cost_model={model}"), tmp_path)


def test_what_a_log_has_cannot_be_told_otherwise() -> None:
    for override in ("data.value_per_click=1", "data.value_per_conversion=1", "data.cost_model=constant:1"):
        with pytest.raises(ConfigError, match=r"data\..*: source 'criteo' has its own; drop the key, it is for"):
            load("laptop", ["data.source=criteo", "data.path=x", override])
    with pytest.raises(ConfigError, match=r"data\.value_per_click: 0 does not fit: .* greater than 0"):
        load("laptop", ["data.source=kuairand", "data.path=x", "data.value_per_click=0"])


def test_a_folder_is_refused_before_a_run_starts(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    for source, error in (("criteo", ConfigError), ("kuairand", DataError)):
        config = load("laptop", [f"data.source={source}", f"data.path={tmp_path / 'log'}"])
        with pytest.raises(error, match=r"is no file; name the log's file|has no log_standard_\*\.csv"):
            local.check(config, tmp_path / "out")
    write(tmp_path / "log" / "log_standard_1.csv", FORMATS["kuairand"](traffic()))
    local.check(config, tmp_path / "out")
    assert not (tmp_path / "out").exists()


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


def test_spark_without_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyspark.sql", None)
    with pytest.raises(DataError, match=r"data\.engine: 'spark' needs PySpark; install the extra"):
        run(tmp_path, impressions(), engine="spark")
