"""An advertiser's own impressions, Parquet or text, one file or many: the same dataset."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from crossmix.config import ConfigError, load
from crossmix.ingest.step import ingest
from crossmix.schema import DataError, Dataset
from tests.support.public_logs import traffic

CREATIVES = pd.DataFrame({"creative_id": ["i0", "i1"], "copy": ["Shoes", "Boots"], "category": ["a", "b"]})


def impressions(rows: int = 96) -> pd.DataFrame:
    log = traffic(rows)
    clicked, sold = log["clicked"] == 1, log["sold"] == 1
    return pd.DataFrame(
        {
            "impression_id": [f"n{number:04d}" for number in log.index],
            "timestamp": log["at"].dt.tz_localize(None),
            "user_id": log["user"].astype(str),
            "campaign_id": "spring",
            "creative_id": [f"i{number % 2}" for number in log["item"]],
            "platform": [f"p{number}" for number in log["platform"]],
            "price_paid": log["price"] / 1000,
            "clicked": clicked,
            "converted": sold,
            "revenue": sold * 2.5,
            "conversion_timestamp": (log["at"].dt.tz_localize(None) + pd.Timedelta(hours=1)).where(sold),
            "note": "not read",
        }
    )


def as_text(frame: pd.DataFrame, path: Path) -> Path:
    frame.to_csv(path, index=False, sep="\t" if ".tsv" in path.name else ",", date_format="%Y-%m-%dT%H:%M:%S.%f")
    return path


def taken(path: Path, out: Path, *overrides: str) -> Dataset:
    out.mkdir()
    given = (f"data.path={path}", "data.settings.currency=EUR", *overrides)
    ingest(load("laptop", ["data.source=impressions", *given]), out)
    return Dataset(out)


@pytest.fixture(scope="module")
def parquet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as an export job leaves it: parts below dates, a table of creatives."""
    folder = tmp_path_factory.mktemp("parquet")
    frame = impressions()
    for number, part in enumerate((frame[:40], frame[40:], frame[:0])):
        below = folder / f"day={number}"
        below.mkdir()
        part.to_parquet(below / "part-0.parquet", index=False)
    CREATIVES.to_parquet(folder / "creatives.parquet", index=False)
    return folder


def test_parquet_parts_are_one_log(parquet: Path, tmp_path: Path) -> None:
    dataset, frame = taken(parquet, tmp_path / "out"), impressions()
    meta, have = dataset.meta, dataset.frame("impressions")
    assert (meta.currency, meta.cycle_hours, meta.generated, meta.campaigns) == ("EUR", 24, False, ("spring",))
    assert (meta.rows["read"], meta.rows["quarantined"]) == (96, {})
    for name in ("impression_id", "user_id", "platform", "price_paid", "clicked", "converted", "revenue"):
        assert have[name].tolist() == frame[name].tolist(), name
    assert have["bid_price"].isna().all()
    assert dataset.frame("creatives").set_index("creative_id")["copy"].to_dict() == {"i0": "Shoes", "i1": "Boots"}
    assert meta.provenance["price_paid"] == meta.provenance["creatives.copy"] == "real"
    assert meta.provenance["bid_price"] == meta.provenance["creatives.image"] == "missing"


@pytest.mark.parametrize(
    ("names", "flags"),
    [(("a.csv",), str), (("a.csv.gz", "b.csv"), int), (("a.tsv", "b.tsv"), lambda flag: f" {flag} ")],
)
def test_text_gives_the_dataset_that_parquet_gives(
    parquet: Path, tmp_path: Path, names: tuple[str, ...], flags: type
) -> None:
    folder = tmp_path / "text"
    folder.mkdir()
    frame = impressions().assign(region="")
    frame = frame.assign(**{name: [flags(flag) for flag in frame[name]] for name in ("clicked", "converted")})
    size = -(-len(frame) // len(names))
    for number, name in enumerate(names):
        as_text(frame[number * size : (number + 1) * size], folder / name)
    as_text(CREATIVES, folder / "creatives.csv")
    text, whole = taken(folder, tmp_path / "out"), taken(parquet, tmp_path / "whole")
    for name in ("impressions", "creatives", "sequences"):
        pd.testing.assert_frame_equal(text.frame(name), whole.frame(name))
    zipped = [note for note in text.meta.notes if "gzipped" in note]
    assert zipped == (
        [f"1 of {len(names)} files are gzipped: each was read by one thread."] if names[0] == "a.csv.gz" else []
    )


def test_a_single_file_is_a_log_whatever_its_name(tmp_path: Path) -> None:
    path = tmp_path / "creatives.parquet"
    impressions().to_parquet(path, index=False)
    assert taken(path, tmp_path / "out").meta.rows["read"] == 96


def test_columns_in_another_order_are_one_log(tmp_path: Path) -> None:
    frame = impressions()
    as_text(frame[:50], tmp_path / "a.csv")
    as_text(frame[50:][list(reversed(frame.columns))], tmp_path / "b.csv")
    assert taken(tmp_path, tmp_path / "out").frame("impressions")["platform"].tolist() == frame["platform"].tolist()


def test_parts_of_before_a_column_was_logged_have_none(tmp_path: Path) -> None:
    """And columns of another order are the same columns."""
    frame = impressions()
    frame[:50].to_parquet(tmp_path / "a.parquet", index=False)
    later = frame[50:].assign(region="north")
    later[list(reversed(later.columns))].to_parquet(tmp_path / "b.parquet", index=False)
    have = taken(tmp_path, tmp_path / "out").frame("impressions")
    assert have["platform"].tolist() == frame["platform"].tolist()
    assert have["region"].tolist() == ["unknown"] * 50 + ["north"] * 46


def test_rows_that_do_not_parse_are_quarantined(tmp_path: Path) -> None:
    frame = impressions().astype({"price_paid": object, "clicked": object})
    frame.loc[3, "price_paid"], frame.loc[5, "clicked"] = "free", "maybe"
    rows = taken(as_text(frame, tmp_path / "a.csv"), tmp_path / "out", "data.accept_quarantine=true").meta.rows
    assert rows["quarantined"] == {"clicked_wrong_type": 1, "price_paid_wrong_type": 1}
    assert rows["ingested"] == 94


def test_what_cannot_be_read_names_the_file_and_the_remedy(tmp_path: Path) -> None:
    frame = impressions()
    mixed, bad, none, lacking, alone = (tmp_path / name for name in ("mixed", "bad", "none", "lacking", "alone"))
    for folder in (mixed, bad, none, lacking, alone):
        folder.mkdir()
    as_text(frame, mixed / "a.csv")
    frame.to_parquet(mixed / "b.parquet", index=False)
    (bad / "a.parquet").write_text("impression_id,timestamp\n")
    as_text(frame[["note"]], none / "a.csv")
    as_text(frame[:50], lacking / "a.csv")
    as_text(frame[50:].drop(columns="revenue"), lacking / "b.csv")
    CREATIVES.to_parquet(alone / "creatives.parquet", index=False)
    CREATIVES.to_parquet(alone / "plans.parquet", index=False)
    for folder, sentence in {
        mixed: r"b\.parquet' is Parquet and .*a\.csv' is text; give one of the two",
        bad: r"a\.parquet' is no Parquet file .*; write it again",
        none: r"a\.csv' has none of the contract's columns \(impression_id, timestamp, .*rename its own",
        lacking: r"revenue: column is missing from .*b\.csv', and others of its folder have it",
        alone: r"has no .*\.parquet",
    }.items():
        with pytest.raises(DataError, match=sentence):
            taken(folder, tmp_path / f"out-{folder.name}")
    with pytest.raises(DataError, match=r"impressions\.revenue: column is missing"):
        taken(as_text(frame.drop(columns="revenue"), tmp_path / "c.csv"), tmp_path / "out-c")


def test_the_currency_must_be_told(tmp_path: Path) -> None:
    as_text(impressions(), tmp_path / "a.csv")
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(ConfigError, match=r"data\.settings\.currency"):
        ingest(load("laptop", ["data.source=impressions", f"data.path={tmp_path / 'a.csv'}"]), out)
