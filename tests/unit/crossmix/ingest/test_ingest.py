"""Ingest: what is dropped, imputed, quarantined; cycles, splits, hold-out, sequences, plans, report."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from crossmix.config import ConfigError, load
from crossmix.config.data import LEAST_MEMORY
from crossmix.ingest.step import ingest
from crossmix.schema import CREATIVES, DERIVED, IMPRESSIONS, PLANS, Dataset, behaviour_id
from crossmix.state import ALLOCATION
from tests.support.raw_logs import DAY, SOLD, SOLD_ROW, impressions, plan, row, run

SIZES = ["data.demo.days=21", "data.demo.requests_per_day=80", "data.demo.users=600", "data.demo.campaigns=2"]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    out = tmp_path_factory.mktemp("demo")
    ingest(load("laptop", SIZES), out)
    return Dataset(out)


def test_tables_have_the_contracts_columns_in_time_order(demo: Dataset) -> None:
    frame = demo.frame("impressions")
    assert list(frame) == [column.name for column in (*IMPRESSIONS, *DERIVED)]
    assert list(demo.frame("creatives")) == [column.name for column in CREATIVES]
    assert list(demo.frame("plans")) == [column.name for column in PLANS]
    ordered = frame.sort_values(["timestamp", "impression_id"], ignore_index=True)
    pd.testing.assert_frame_equal(frame, ordered)
    assert frame["timestamp"].dtype == "datetime64[us]"
    assert demo.frame("sequences")["impression_id"].equals(frame["impression_id"])
    assert not list(demo.path.glob("ingest-*")), "the work folder is gone"


def test_planted_dirt_is_found_exactly(demo: Dataset) -> None:
    from crossmix.sources.demo import generate

    dirt = generate(load("laptop", SIZES).data.demo).dirt
    rows = demo.meta.rows
    assert rows["duplicates"] == dirt["duplicate"]
    assert rows["quarantined"] == {
        "clock_out_of_order": dirt["early_conversion"],
        "impression_id_conflict": dirt["conflict"],
        "price_paid_negative": dirt["negative_price"],
        "unknown_platform": dirt["unknown_platform"],
    }
    assert rows["imputed"]["creative_id"] == dirt["unknown_creative"]
    assert rows["imputed"]["region"] == pytest.approx(dirt["missing_region"], abs=5)
    outside = rows["quarantined"]["unknown_platform"]
    assert rows["read"] == rows["ingested"] + rows["duplicates"] + sum(rows["quarantined"].values()) - outside


def test_same_config_same_bytes(demo: Dataset, tmp_path: Path) -> None:
    ingest(load("laptop", SIZES), tmp_path)
    for path in sorted(demo.path.iterdir()):
        assert (tmp_path / path.name).read_bytes() == path.read_bytes(), path.name


def test_any_memory_and_any_number_of_cores_give_the_same_bytes(demo: Dataset, tmp_path: Path) -> None:
    cores = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(cores)})
        ingest(load("laptop", [*SIZES, f"data.memory={LEAST_MEMORY}"]), tmp_path)
    finally:
        os.sched_setaffinity(0, cores)
    for path in sorted(demo.path.iterdir()):
        assert (tmp_path / path.name).read_bytes() == path.read_bytes(), path.name


def test_splits_follow_time_and_users_are_held_out_in_all(demo: Dataset) -> None:
    frame, meta = demo.frame("impressions"), demo.meta
    assert meta.first_cycle == {"train": 0, "validation": 15, "test": 17}
    for split, end in (("train", 15), ("validation", 17), ("test", 21)):
        cycles = frame.loc[frame["split"] == split, "cycle"]
        assert (cycles.min(), cycles.max()) == (meta.first_cycle[split], end - 1)
    per_user = frame.groupby("user_id")["holdout"]
    assert (per_user.nunique() == 1).all()
    assert per_user.first().mean() == pytest.approx(0.4, abs=0.06)
    days = (frame["timestamp"] - pd.Timestamp(meta.start).tz_localize(None)).dt.days
    assert (frame["cycle"] == days).all()


def test_sequences_hold_the_last_events_known_before(demo: Dataset) -> None:
    frame = demo.frame("impressions")
    events = demo.frame("sequences")["events"]
    slots = {name: slot for slot, name in enumerate(demo.meta.platforms)}
    by_user = dict(iter(frame.groupby("user_id")))
    for index in np.random.default_rng(0).choice(len(frame), 200, replace=False):
        now = frame.loc[index]
        known = []
        for past in by_user[now["user_id"]].itertuples():
            token = behaviour_id(slots[past.platform], int(past.clicked))
            known.append((past.timestamp, token, past.impression_id))
            if past.converted:
                known.append((past.conversion_timestamp, behaviour_id(slots[past.platform], 2), past.impression_id))
        wanted = [token for moment, token, _ in sorted(known) if moment < now["timestamp"]][-30:]
        assert events[index].tolist() == wanted


def test_no_leakage_from_ties_own_outcome_or_unknown_conversions(tmp_path: Path) -> None:
    at = DAY + pd.Timedelta(hours=40)
    mine = {"user_id": "me", "platform": "search"}
    sold = {"clicked": True, "converted": True, "revenue": 5.0}
    log = impressions(
        row(0, impression_id="a", **mine, **sold, conversion_timestamp=at + pd.Timedelta(hours=1)),
        row(1, impression_id="untimed", **mine, **sold),
        row(40, impression_id="b", **mine | {"timestamp": at, "clicked": True}),
        row(40, impression_id="c", **mine | {"timestamp": at}),
        row(41, impression_id="at", **mine),
        row(42, impression_id="after", **mine),
    )
    dataset = run(tmp_path, log)
    slot = dataset.meta.platforms.index("search")
    shown, click, sale = (behaviour_id(slot, event) for event in range(3))
    events = dataset.frame("sequences").set_index("impression_id")["events"].map(list)
    assert events["a"] == []
    assert events["b"] == events["c"] == [click, click], "neither each other nor the conversion still to come"
    assert events["at"] == [click, click, shown, click], "a conversion of the same moment is not before it"
    assert events["after"] == [click, click, shown, click, shown, sale]


def test_sequences_keep_only_the_last(tmp_path: Path) -> None:
    dataset = run(tmp_path, impressions(*(row(n, impression_id=f"x{n}", user_id="busy") for n in range(50))))
    lengths = dataset.frame("sequences").set_index("impression_id")["events"].map(len)
    assert lengths["x29"] == 29
    assert lengths["x49"] == 30


def test_duplicates_are_dropped_and_conflicts_quarantined(tmp_path: Path) -> None:
    log = impressions(row(3), row(3), row(200, price_paid=1.0), row(200, price_paid=2.0))
    dataset = run(tmp_path, log)
    assert dataset.meta.rows["duplicates"] == 2
    assert dataset.meta.rows["quarantined"] == {"impression_id_conflict": 2}
    assert dataset.meta.rows["ingested"] == 96


def test_copies_without_a_key_are_dropped_too(tmp_path: Path) -> None:
    nameless = [row(7, impression_id=None), row(7, impression_id=None), row(9, impression_id=None)]
    rows = run(tmp_path, impressions(row(3), *nameless), accept_quarantine=True).meta.rows
    assert (rows["read"], rows["ingested"], rows["duplicates"]) == (100, 96, 2)
    assert rows["quarantined"] == {"impression_id_missing": 2}


def test_a_row_that_breaks_a_rule_is_told_so_and_its_twin_that_they_differ(tmp_path: Path) -> None:
    dataset = run(tmp_path, impressions(row(200), row(200, price_paid=-1.0)))
    assert dataset.meta.rows["quarantined"] == {"impression_id_conflict": 1, "price_paid_negative": 1}
    told = dataset.frame("quarantine").set_index("code")
    assert list(json.loads(told.loc["impression_id_conflict", "row"])) == [column.name for column in IMPRESSIONS]
    assert told.loc["impression_id_conflict", "reason"].startswith("impression_id 'i200': rows that differ")


def test_late_conversions_and_those_without_click_do_not_count(tmp_path: Path) -> None:
    def sold(number: int, days: float, clicked: bool = True) -> dict[str, object]:
        moment = DAY + pd.Timedelta(hours=number) + pd.Timedelta(days=days)
        outcome = {"clicked": clicked, "converted": True, "revenue": 5.0, "conversion_timestamp": moment}
        return row(number, impression_id=f"s{number}", **outcome)

    dataset = run(tmp_path, impressions(sold(1, 7.0), sold(2, 7.01), sold(3, 1.0, clicked=False)), attribution_days=7.0)
    frame = dataset.frame("impressions").set_index("impression_id")
    assert set(frame.index[frame["converted"]]) == {"s1", f"i{SOLD_ROW}"}
    assert frame.loc["s1", "revenue"] == 5.0
    for name in ("s2", "s3"):
        assert frame.loc[name, "revenue"] == 0
        assert pd.isna(frame.loc[name, "conversion_timestamp"])
    assert dataset.meta.rows["imputed"]["late_conversions"] == 1
    assert dataset.meta.rows["imputed"]["view_through"] == 1


def test_imputation_is_counted_and_told(tmp_path: Path) -> None:
    creatives = pd.DataFrame({"creative_id": ["k"], "image": [b"png"], "copy": [None], "category": [None]})
    creatives["copy"] = creatives["copy"].astype("string")
    creatives["category"] = creatives["category"].astype("string")
    log = impressions(row(200, region=None, creative_id="k"), row(201, creative_id="gone"))
    dataset = run(tmp_path, log, creatives=creatives)
    frame = dataset.frame("impressions").set_index("impression_id")
    assert frame.loc["i200", "region"] == "unknown"
    assert frame.loc["i200", "creative_id"] == "k"
    assert frame.loc["i201", "creative_id"] is None
    assert dataset.frame("creatives")["category"].tolist() == ["unknown"]
    assert dataset.meta.modalities == ("image", "behaviour")
    assert dataset.meta.rows["imputed"]["region"] == dataset.meta.rows["imputed"]["creative_id"] == 1
    assert any("no region" in note for note in dataset.meta.notes)


def test_platforms_are_ordered_by_training_spend_and_grouped(tmp_path: Path) -> None:
    log = impressions(
        *(row(n, impression_id=f"p{n}", platform=f"p{n % 4}", price_paid=0.1 * (n % 4)) for n in range(40))
    )
    plans = [plan(platform=name, max=0.3) for name in ("p0", "p1", "p2", "p3", "search", "social")]
    dataset = run(tmp_path, log, plans=plans, keep_platforms=4)
    assert dataset.meta.platforms == ("search", "social", "p3", "other")
    assert set(dataset.frame("impressions")["platform"]) == set(dataset.meta.platforms)
    grouped = dataset.frame("plans").set_index("platform").loc["other"]
    assert grouped["planned_budget"] == 30
    assert grouped["min"] == pytest.approx(0.3)
    assert grouped["max"] == pytest.approx(0.9)


FOURTEEN = [f"p{number:02d}" for number in range(14)]
GROUPS = {"p13": "social", "p12": "social", "p00": "video", "p01": "video"}


def _fourteen() -> pd.DataFrame:
    """Every hour one impression on each of 14 platforms, `p<n>` at price n + 1; one user is fitted on."""
    rows = [
        row(hour, impression_id=f"{hour}-{name}", platform=name, user_id="u3", bid_price=99.0, price_paid=number + 1.0)
        for hour in range(96)
        for number, name in enumerate(FOURTEEN)
    ]
    rows[5] |= SOLD
    return impressions(*rows, sound=0)


def test_fourteen_platforms_become_nine_and_other(tmp_path: Path) -> None:
    meta = run(tmp_path, _fourteen()).meta
    assert meta.platforms == (*(f"p{number:02d}" for number in range(13, 4, -1)), "other")
    assert "5 platforms with the least spend are grouped as 'other'." in meta.notes


def test_configured_groups_come_before_the_nine_and_other(tmp_path: Path) -> None:
    dataset = run(tmp_path, _fourteen(), platform_groups=GROUPS)
    meta, frame = dataset.meta, dataset.frame("impressions")
    # 14 raw names, 12 after grouping: social (27 an hour) leads, video (3) falls under other with p02 and p03.
    assert meta.platforms == ("social", *(f"p{number:02d}" for number in range(11, 3, -1)), "other")
    spent = frame.groupby("platform")["price_paid"].sum() / 96
    assert (spent["social"], spent["other"], spent["p11"]) == (13 + 14, 1 + 2 + 3 + 4, 12)
    assert "Platforms are grouped by the config: social = p12, p13; video = p00, p01." in meta.notes
    assert "3 platforms with the least spend are grouped as 'other'." in meta.notes
    report = json.loads((dataset.path / "report.json").read_text())
    assert [part["platform"] for part in report["by_platform"]] == list(meta.platforms)
    assert set(report["notes"]) >= set(meta.notes)
    slots = {event for events in dataset.frame("sequences")["events"] for event in events}
    assert max(slots) < behaviour_id(10, 0), "sequences know the ten groups only"


def test_groups_that_fit_leave_no_other(tmp_path: Path) -> None:
    groups = GROUPS | {"p02": "video", "p03": "video", "p11": "other"}
    meta = run(tmp_path, _fourteen(), platform_groups=groups, keep_platforms=10).meta
    assert "video" in meta.platforms
    assert meta.platforms[-1] == "other", "a group of that name is last, whatever it spent"
    assert len(meta.platforms) == 10
    (tmp_path / "all").mkdir()
    whole = run(tmp_path / "all", _fourteen(), platform_groups=dict.fromkeys(FOURTEEN, "all")).meta
    assert whole.platforms == ("all",)


def test_a_name_may_be_a_platform_and_a_group(tmp_path: Path) -> None:
    dataset = run(tmp_path, impressions(), platform_groups={"search": "social"})
    assert dataset.meta.platforms == ("social",)
    (tmp_path / "swap").mkdir()
    swapped = run(tmp_path / "swap", impressions(), platform_groups={"search": "social", "social": "search"})
    before, after = impressions(), swapped.frame("impressions").set_index("impression_id")["platform"]
    assert (after[before["impression_id"]].to_numpy() != before["platform"].to_numpy()).all()


def test_plans_follow_the_groups_by_raw_and_by_group_name(tmp_path: Path) -> None:
    names = ["p13", "social", "p00", "p11"]
    plans = [plan(platform=name, min=None, max=0.3, planned_budget=number + 1.0) for number, name in enumerate(names)]
    dataset = run(tmp_path, _fourteen(), plans=plans, platform_groups=GROUPS)
    kept = dataset.frame("plans").set_index("platform")
    assert kept["planned_budget"].to_dict() == {"social": 1 + 2, "other": 3, "p11": 4}
    assert kept["max"].to_dict() == pytest.approx({"social": 0.6, "other": 0.3, "p11": 0.3})
    assert dataset.meta.rows["quarantined"] == {}


def test_groups_are_in_the_digest(tmp_path: Path) -> None:
    digests = []
    for name, groups in (("a", {}), ("b", {"search": "x"}), ("c", {"search": "y"}), ("d", {"search": "y"})):
        (tmp_path / name).mkdir()
        digests.append(run(tmp_path / name, impressions(), platform_groups=groups).meta.digest)
    assert len(set(digests[:3])) == 3
    assert digests[2] == digests[3]


def test_groups_come_from_the_command_line() -> None:
    data = load("laptop", ['data.platform_groups={"a":"social","b":"social"}']).data
    assert data.platform_groups == {"a": "social", "b": "social"}
    for override, said in (
        ("data.platform_groups=social", "data.platform_groups: 'social' does not fit"),
        ('data.platform_groups={"a":""}', "data.platform_groups.a: '' does not fit"),
        ("data.platform_groups.a=social", r"unknown config key; did you mean data\.platform_groups"),
        ("data.keep_platforms=11", "data.keep_platforms: 11 does not fit: .* less than or equal to 10"),
    ):
        with pytest.raises(ConfigError, match=said):
            load("laptop", [override])


def test_the_state_has_a_slot_for_each_platform_that_may_be_kept() -> None:
    assert load("laptop", [f"data.keep_platforms={ALLOCATION.slots}"]).data.keep_platforms == ALLOCATION.slots
    with pytest.raises(ConfigError, match=r"data\.keep_platforms"):
        load("laptop", [f"data.keep_platforms={ALLOCATION.slots + 1}"])


def test_a_fragment_joins_the_cycle_before_it(tmp_path: Path) -> None:
    dataset = run(tmp_path, impressions(row(96, timestamp=DAY + pd.Timedelta(days=4, minutes=3))))
    assert dataset.meta.cycles == 4
    assert dataset.frame("impressions")["cycle"].max() == 3


def test_the_last_moment_of_a_cycle_belongs_to_it(tmp_path: Path) -> None:
    last = DAY + pd.Timedelta(days=1) - pd.Timedelta(microseconds=1)
    dataset = run(tmp_path, impressions(row(1, impression_id="last", timestamp=last)))
    assert dataset.frame("impressions").set_index("impression_id").loc["last", "cycle"] == 0


def test_missing_plans_are_taken_from_spend(tmp_path: Path) -> None:
    dataset = run(tmp_path, impressions(sound=60), cycle_hours=12)
    plans = dataset.frame("plans").set_index(["platform", "date"])["planned_budget"]
    assert dataset.meta.provenance["plans.planned_budget"] == "approximated"
    assert plans["search", DAY.date()] == pytest.approx(24.0)
    half = (DAY + pd.Timedelta(days=2)).date()
    assert plans["search", half] == pytest.approx(24.0), "half a day's spend is a whole day's plan at that pace"


def test_report_adds_up(demo: Dataset) -> None:
    report = json.loads((demo.path / "report.json").read_text())
    frame = demo.frame("impressions")
    assert sum(part["impressions"] for part in report["by_platform"]) == len(frame)
    assert report["rates"]["ctr"] == pytest.approx(frame["clicked"].mean())
    assert report["rates"]["roas"] == pytest.approx(frame["revenue"].sum() / frame["price_paid"].sum())
    assert all(set(day["spend"]) == set(demo.meta.platforms) for day in report["by_day"])
    spend = sum(amount for day in report["by_day"] for amount in day["spend"].values())
    assert spend == pytest.approx(frame["price_paid"].sum())
    assert len(report["by_day"]) == demo.meta.cycles
    assert set(report["splits"]) == {"train", "validation", "test"}


def test_digest_follows_the_input_and_not_its_place(demo: Dataset, tmp_path: Path) -> None:
    first = run(tmp_path, impressions())
    (tmp_path / "b").mkdir()
    assert run(tmp_path / "b", impressions(), path="elsewhere").meta.digest == first.meta.digest
    (tmp_path / "c").mkdir()
    assert run(tmp_path / "c", impressions(), holdout_users=0.5).meta.digest != first.meta.digest
