"""The log as columns of small numbers: against plain sums of the table it is read from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crossmix.market.fit import estimators
from crossmix.market.fit import log as logs
from crossmix.market.fit.blocks import blocks
from crossmix.market.fit.estimators import ranks
from crossmix.market.fit.log import COLUMNS, MARK, TOTALS, Log, read
from crossmix.schema import DERIVED, IMPRESSIONS, Dataset, Meta
from crossmix.sources.tables import arrow_schema

ROWS, CYCLES, PER_GROUP = 10_000, 12, 3_000
START = "2025-01-06T00:00:00+00:00"
META = Meta(
    source="demo", generated=True, currency="USD", platforms=("search", "video"), campaigns=("b", "a"), start=START,
    cycle_hours=12, cycles=CYCLES, first_cycle={"train": 0, "validation": 8, "test": 10}, modalities=(), provenance={},
    weekday_pattern=False, digest="0",
)  # fmt: skip


def table() -> pd.DataFrame:
    """Impressions in order of time; users' numbers are not in the order of their first impressions, prices differ."""
    rng = np.random.default_rng(0)
    hours = np.sort(rng.random(ROWS)) * 12 * CYCLES
    moment = pd.Timestamp(START).tz_localize(None) + pd.to_timedelta(hours, unit="h").round("us")
    cycle = (hours // 12).astype(np.int64)
    user = rng.integers(900, size=ROWS)
    clicked = rng.random(ROWS) < 0.3
    converted = clicked & (rng.random(ROWS) < 0.4)
    known = moment + pd.to_timedelta(rng.exponential(20, ROWS), unit="h").round("us")
    return pd.DataFrame(
        {
            "impression_id": [f"i{row}" for row in range(ROWS)],
            "timestamp": moment,
            "user_id": [f"user {number}" for number in user],
            "campaign_id": rng.choice(["a", "b"], ROWS),
            "creative_id": None,
            "platform": rng.choice(["search", "video"], ROWS),
            "region": np.array(["north", "south", "unknown"])[user % 3],
            "bid_price": np.where(rng.random(ROWS) < 0.5, 3.0, np.nan),
            "price_paid": np.exp(rng.standard_normal(ROWS)),
            "clicked": clicked,
            "converted": converted,
            "revenue": np.where(converted, rng.gamma(3, 7, ROWS), 0.0),
            # Half of the conversions do not say when they came.
            "conversion_timestamp": pd.Series(known).where(converted & (rng.random(ROWS) < 0.5)),
            "propensity": np.nan,
            "cycle": cycle,
            "split": np.select([cycle < 8, cycle < 10], ["train", "validation"], "test"),
            "holdout": user % 4 == 0,
        }
    )


def small(count: int) -> Iterator[slice]:
    """Blocks so small that the log has many."""
    return blocks(count, 700)


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return table()


@pytest.fixture(scope="module")
def dataset(frame: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("dataset")
    schema = arrow_schema([*IMPRESSIONS, *DERIVED])
    pq.write_table(
        pa.Table.from_pandas(frame, schema=schema, preserve_index=False),
        folder / "impressions.parquet",
        row_group_size=PER_GROUP,
    )
    META.save(folder)
    return Dataset(folder)


@pytest.fixture(scope="module")
def log(dataset: Dataset) -> Log:
    return read(dataset)


def test_columns_are_small_numbers_and_no_id_stays(log: Log) -> None:
    assert set(log.frame.columns) == set(COLUMNS)
    kinds = {name: log.column(name).dtype.name for name in COLUMNS}
    # Pandas keeps codes of three categories in a byte.
    assert kinds == COLUMNS | {"region": "int8"}
    assert not log.frame.select_dtypes(object).columns.size
    assert sum(log.column(name).itemsize for name in COLUMNS) == 47


def test_columns_say_what_the_table_says(log: Log, frame: pd.DataFrame) -> None:
    for name in ("cycle", "holdout", "clicked", "converted", "bid_price", "price_paid", "revenue"):
        np.testing.assert_array_equal(log.column(name), frame[name].to_numpy(), err_msg=name)
    for name in ("region", "split"):
        assert log.frame[name].astype(str).tolist() == frame[name].tolist()
    np.testing.assert_array_equal(log.column("c"), np.where(frame["campaign_id"] == "b", 0, 1))
    np.testing.assert_array_equal(log.column("p"), np.where(frame["platform"] == "search", 0, 1))
    ids = sorted(set(frame["user_id"]))
    assert [ids[number] for number in log.column("user")] == frame["user_id"].tolist()
    known = (frame["conversion_timestamp"] - pd.Timestamp(START).tz_localize(None)) // pd.Timedelta(hours=12)
    expected = known.fillna(-1).clip(lower=frame["cycle"]).astype(int)
    np.testing.assert_array_equal(log.column("arrival"), expected)
    assert (expected > frame["cycle"]).sum() > 100


def test_what_is_not_among_metas_names_is_marked(dataset: Dataset, tmp_path: Path, frame: pd.DataFrame) -> None:
    schema = arrow_schema([*IMPRESSIONS, *DERIVED])
    few = frame.head(3).assign(campaign_id=["a", "x", "b"], region=[None, "north", None])
    pq.write_table(pa.Table.from_pandas(few, schema=schema, preserve_index=False), tmp_path / "impressions.parquet")
    META.save(tmp_path)
    found = read(Dataset(tmp_path))
    assert found.column("c").tolist() == [1, -1, 0]
    assert found.column("region").tolist() == [-1, 0, -1]
    assert found.marks == {0: "i0", 2: "i2"}


def test_a_log_in_parts_is_the_same_log(log: Log, frame: pd.DataFrame, tmp_path: Path) -> None:
    """Batches end where files do, and users come again in each of them."""
    (tmp_path / "impressions.parquet").mkdir()
    schema = arrow_schema([*IMPRESSIONS, *DERIVED])
    for number, start in enumerate(range(0, ROWS, 1_700)):
        part = pa.Table.from_pandas(frame[start : start + 1_700], schema=schema, preserve_index=False)
        pq.write_table(part, tmp_path / "impressions.parquet" / f"part-{number:05d}.parquet")
    META.save(tmp_path)
    again = read(Dataset(tmp_path))
    pd.testing.assert_frame_equal(again.frame, log.frame)
    assert again.marks == log.marks


def test_rows_are_read_a_few_at_a_time(dataset: Dataset, log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: dict[str, list[int]] = {}

    def batches(self: Dataset, name: str, columns: list[str], rows: int) -> object:
        for batch in whole(self, name, columns, rows):
            sizes.setdefault(columns[0], []).append(batch.num_rows)
            yield batch

    whole = Dataset.batches
    monkeypatch.setattr(Dataset, "batches", batches)
    monkeypatch.setattr(logs, "AT_ONCE", 512)
    again = read(dataset)
    assert max(sizes["impression_id"]) == 512
    # Ids are looked up as many at a time as there are users.
    assert max(sizes["user_id"]) == log.frame["user"].nunique() == 900
    pd.testing.assert_frame_equal(again.frame, log.frame)
    assert again.marks == log.marks == {row: f"i{row}" for row in (*range(0, ROWS, MARK), ROWS - 1)}


def test_sums_per_cycle_are_those_of_the_table_to_the_last_bit(
    log: Log, frame: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "blocks", small)
    keep = frame["price_paid"].to_numpy() < 2
    c, p = (frame["campaign_id"] != "b").to_numpy(int), (frame["platform"] != "search").to_numpy(int)
    index = np.ravel_multi_index((frame["cycle"].to_numpy(), c, p), log.shape)
    for name, column in TOTALS.items():
        weight = None if name == "impressions" else frame[column].to_numpy(float)[keep]
        expected = np.bincount(index[keep], weight, int(np.prod(log.shape))).reshape(log.shape)
        np.testing.assert_array_equal(log.totals(keep)[name], expected, err_msg=name)
    # What becomes known after the log is left out.
    late = log.column("arrival") >= CYCLES
    assert late.any()
    assert log.per_cycle(by="arrival").sum() == (~late).sum()
    doubled = log.per_cycle(lambda rows: 2 * frame["revenue"].to_numpy()[rows])
    np.testing.assert_array_equal(doubled, 2 * log.totals()["revenue"])


def test_ranks_count_the_impressions_of_a_cell_before(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = log.frame.groupby(["c", "p", "cycle"]).cumcount()
    np.testing.assert_array_equal(ranks(log), expected)
    monkeypatch.setattr(estimators, "blocks", small)
    np.testing.assert_array_equal(ranks(log), expected)


def test_rows_of_splits(log: Log, frame: pd.DataFrame) -> None:
    np.testing.assert_array_equal(log.within("train", "test"), frame["split"] != "validation")
    np.testing.assert_array_equal(log.fitted_rows(), (frame["split"] == "train") & ~frame["holdout"])
    np.testing.assert_array_equal(log.fitted_cycles(), np.arange(CYCLES) < 8)
