"""The Criteo adapters on small files of either format."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from crossmix.config import ConfigError, load
from crossmix.ingest.step import ingest
from crossmix.schema import DataError, Dataset
from crossmix.sources.criteo import SLICE_COLUMNS
from tests.support.raw_logs import public_row, write_public

DAY = 86_400


def _ingest(folder: Path, *overrides: str) -> Dataset:
    out = folder / "out"
    out.mkdir()
    ingest(load("laptop", ["data.source=criteo", *overrides]), out)
    return Dataset(out)


@pytest.mark.parametrize("name", ["log.tsv", "log.tsv.gz"])
def test_public_format(tmp_path: Path, name: str) -> None:
    rows = [public_row(second * 3_600) for second in range(24 * 5)]
    sold = {"conversion": 1, "click": 1, "click_nb": 2, "cpo": 0.5, "conversion_id": 7}
    rows += [
        public_row(10, cat2=1, **sold, conversion_timestamp=10 + DAY),
        public_row(20, cat2=2, **sold, conversion_timestamp=10 + DAY),
        public_row(30, cat2=3, **sold, conversion_timestamp=30 + 31 * DAY),
        public_row(40, cat2=4, conversion=1, conversion_timestamp=50),
    ]
    write_public(tmp_path / name, [*rows, rows[0]])
    dataset = _ingest(tmp_path, f"data.path={tmp_path / name}")
    meta, frame = dataset.meta, dataset.frame("impressions")
    assert meta.cycle_hours == 24
    assert meta.rows["duplicates"] == 1
    assert meta.rows["ingested"] == len(rows) == len(frame)
    assert meta.rows["imputed"]["late_conversions"] == 1
    assert set(meta.platforms) == {"campaign 1000", "campaign 1001", "campaign 1002"}
    assert meta.modalities == ("behaviour",)
    assert not meta.generated
    assert frame["revenue"].sum() == pytest.approx(0.2 + 0.5), "one order on two clicks counts once"
    assert frame["converted"].sum() == 3, "neither the late one nor the one without a click"
    first = frame[frame["converted"]].iloc[0]
    assert first["conversion_timestamp"] - first["timestamp"] == pd.Timedelta(days=1)
    assert frame["timestamp"].min() == pd.Timestamp("2017-01-02")


def test_missing_numbers_are_quarantined_each_with_its_reason(tmp_path: Path) -> None:
    rows = [public_row(second * 3_600) for second in range(24 * 4)]
    rows += [
        public_row(1, cost="-1"),
        public_row(2, cost="-0.5"),
        public_row(3, cost="cheap"),
        public_row(4, conversion=1, click=1, conversion_timestamp=1),
        public_row(-5),
    ]
    write_public(tmp_path / "log.tsv", rows)
    dataset = _ingest(tmp_path, f"data.path={tmp_path / 'log.tsv'}", "data.accept_quarantine=true")
    assert dataset.meta.rows["quarantined"] == {
        "price_paid_missing": 1,
        "price_paid_negative": 1,
        "cost_wrong_type": 1,
        "clock_out_of_order": 1,
        "timestamp_missing": 1,
    }
    reasons = dataset.frame("quarantine").set_index("code")["reason"]
    assert reasons["cost_wrong_type"] == "cost 'cheap' is not of type float64"
    assert "-0.5" in reasons["price_paid_negative"]


def test_many_campaigns_are_grouped_by_spend(tmp_path: Path) -> None:
    rows = [
        public_row(hour * 3_600 + number, campaign=str(number), cost=number + 1)
        for hour in range(24 * 4)
        for number in range(14)
    ]
    write_public(tmp_path / "log.tsv", rows)
    meta = _ingest(tmp_path, f"data.path={tmp_path / 'log.tsv'}").meta
    assert meta.platforms == (*(f"campaign {number}" for number in range(13, 4, -1)), "other")
    assert any("5 platforms" in note for note in meta.notes)


def test_slice_format(tmp_path: Path) -> None:
    rows = [
        {"": 8_000 * n, "uid": n % 9, "campaign": (0.5, 0.25)[n % 2], "conversion": 0, "attribution": 0, "click": 0}
        | {"click_nb": -1, "cost": 0.01, "cpo": 0.2, "cat1": 0.3}
        for n in range(60)
    ]
    rows[8] |= {"conversion": 1, "click": 1, "click_nb": 4}
    pd.DataFrame(rows).to_csv(tmp_path / "slice.csv", index=False)
    dataset = _ingest(tmp_path, f"data.path={tmp_path / 'slice.csv'}")
    meta, frame = dataset.meta, dataset.frame("impressions")
    assert meta.cycle_hours == 1
    assert not meta.weekday_pattern
    assert meta.provenance["timestamp"] == "approximated"
    assert any("c01 = 0.25, c02 = 0.5" in note for note in meta.notes)
    assert frame["platform"].head(2).tolist() == ["c02", "c01"]
    assert frame["revenue"].sum() == pytest.approx(0.05)
    assert set(SLICE_COLUMNS) <= set(rows[0])


def test_configured_cycle_wins_over_the_sources_own(tmp_path: Path) -> None:
    write_public(tmp_path / "log.tsv", [public_row(hour * 3_600) for hour in range(24 * 4)])
    assert _ingest(tmp_path, f"data.path={tmp_path / 'log.tsv'}", "data.cycle_hours=6").meta.cycle_hours == 6


def test_a_context_column_can_play_the_platform(tmp_path: Path) -> None:
    rows = [public_row(hour * 3_600, cat8=str(hour % 5)) for hour in range(24 * 4)]
    write_public(tmp_path / "log.tsv", [*rows, public_row(11, cat8="-1")])
    dataset = _ingest(tmp_path, f"data.path={tmp_path / 'log.tsv'}", "data.criteo_channel=cat8")
    assert set(dataset.meta.platforms) == {f"cat8 {number}" for number in range(5)}
    assert dataset.meta.rows["quarantined"] == {"platform_missing": 1}
    assert any("context column cat8" in note for note in dataset.meta.notes)
    assert not any("campaign plays" in note for note in dataset.meta.notes)


def test_a_slice_without_the_context_column_is_refused(tmp_path: Path) -> None:
    pd.DataFrame([dict.fromkeys(("row_index", *SLICE_COLUMNS), 1)]).to_csv(tmp_path / "slice.csv", index=False)
    with pytest.raises(DataError, match="cat8: column is missing"):
        _ingest(tmp_path, f"data.path={tmp_path / 'slice.csv'}", "data.criteo_channel=cat8")


def test_other_sources_have_no_such_column() -> None:
    with pytest.raises(ConfigError, match=r"data\.criteo_channel: source 'demo' has its own.*for criteo"):
        load("laptop", ["data.criteo_channel=cat8"])


@pytest.mark.parametrize("channel", ["campaign", "cat8"])
def test_a_scaled_value_of_many_digits_keeps_its_name(tmp_path: Path, channel: str) -> None:
    """0.9110389916230095 as a literal in SQL is another double than the text's: the rows lost their platform."""
    values = ["0.0", "0.08896100837699045", "0.9110389916230095", "0.40000057505123776", "0.400000575051237760"]
    rows = [
        {"": 8_000 * n, "uid": n % 9, "campaign": "0.5", "conversion": 1, "attribution": 0, "click": 1, "click_nb": 1}
        | {"cost": "0.01", "cpo": "0.2", "cat8": "0.25", channel: values[n % 5]}
        for n in range(60)
    ]
    pd.DataFrame(rows).to_csv(tmp_path / "slice.csv", index=False)
    dataset = _ingest(tmp_path, f"data.path={tmp_path / 'slice.csv'}", f"data.criteo_channel={channel}")
    frame = dataset.frame("impressions").set_index("impression_id")["platform"]
    assert [frame[f"row {8_000 * n}"] for n in range(5)] == ["c01", "c02", "c04", "c03", "c03"]
    assert len(frame) == 60


def test_a_slice_that_was_saved_again_keeps_its_own_index(tmp_path: Path) -> None:
    rows = pd.DataFrame(
        [
            {"uid": n % 9, "campaign": (0.5, 0.25)[n % 2], "conversion": n == 8, "attribution": 0, "click": n == 8}
            | {"click_nb": 4, "cost": 0.01, "cpo": 0.2}
            for n in range(60)
        ],
        index=[8_000 * n for n in range(60)],
    ).astype({"conversion": int, "click": int})
    again = rows.reset_index(names="Unnamed: 0")
    ids = []
    for name, table in {"once": rows, "again": again}.items():
        (tmp_path / name).mkdir()
        table.to_csv(tmp_path / name / "slice.csv")
        frame = _ingest(tmp_path / name, f"data.path={tmp_path / name / 'slice.csv'}").frame("impressions")
        ids.append(frame["impression_id"].tolist())
    assert ids[0] == ids[1]
    assert ids[0][-1] == "row 472000"
