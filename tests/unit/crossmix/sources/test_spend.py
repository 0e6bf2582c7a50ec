"""Source `spend`: what it reads, what it refuses, and the parts of its fit against independent computations."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from crossmix.artifacts import FusionReport, IngestReport
from crossmix.config import Config, load
from crossmix.evaluate.gates.fidelity import without_impressions
from crossmix.fusion.fit import fit as fuse
from crossmix.ingest.step import ingest
from crossmix.market.fit.log import read
from crossmix.market.logged_states import statistics
from crossmix.report.inputs import ReportInputs
from crossmix.report.page import render
from crossmix.schema import DataError
from crossmix.sources import spend
from crossmix.sources.history.load import load as read_history
from tests.support.histories import START, ingested, sound


def test_totals_come_through_unchanged(tmp_path: Path) -> None:
    history = sound()
    dataset = ingested(tmp_path, history)
    log = read(dataset)
    assert dataset.meta.aggregate
    assert dataset.meta.weekday_pattern
    assert not dataset.meta.generated
    assert dataset.meta.platforms == ("social", "search")  # by spend
    for name, cube in log.totals().items():
        for p, platform in enumerate(dataset.meta.platforms):
            mine = history.loc[history["platform"] == platform, name].to_numpy(float)
            np.testing.assert_allclose(cube[:, 0, p], mine, rtol=1e-12)
    np.testing.assert_array_equal(log.per_cycle(), log.totals()["impressions"])
    planned, low, high = log.planned(dataset)
    np.testing.assert_allclose(planned, log.totals()["spend"])
    assert log.plan_from_spend
    assert np.isnan(low).all()
    assert np.isnan(high).all()


def test_header_is_read_in_any_case_separator_and_order(tmp_path: Path) -> None:
    history = sound()[["clicks", "platform", "date", "revenue", "spend", "conversions", "impressions"]]
    text = history.assign(Region="north").to_csv(index=False, sep=";").replace("clicks", "Clicks", 1)
    plain, other = ingested(tmp_path / "a", sound()), ingested(tmp_path / "b", "\ufeff" + text)
    pd.testing.assert_frame_equal(plain.frame("outcomes"), other.frame("outcomes"))
    assert any("'Region'" in note for note in other.meta.notes)
    packed = tmp_path / "history.csv.gz"
    packed.write_bytes(gzip.compress(text.encode()))
    (tmp_path / "c").mkdir()
    ingest(load("laptop", ["data.source=spend", f"data.path={packed}"]), tmp_path / "c")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "c" / "outcomes.parquet"), plain.frame("outcomes"))


BAD_ROWS = [
    ({"spend": ""}, "spend_missing"),
    ({"impressions": -1.0}, "impressions_negative"),
    ({"spend": "inf"}, "spend_not_finite"),
    ({"impressions": ""}, "impressions_missing"),
    ({"revenue": "12x"}, "revenue_wrong_type"),
    ({"date": "06/01/2025"}, "date_wrong_type"),
    ({"platform": " "}, "platform_missing"),
    ({"clicks": 9_999_999}, "clicks_above_impressions"),
]


@pytest.mark.parametrize(("changes", "code"), BAD_ROWS, ids=[code for _, code in BAD_ROWS])
def test_bad_row_is_quarantined(tmp_path: Path, changes: dict[str, object], code: str) -> None:
    dataset = ingested(tmp_path, sound(**changes))
    assert dataset.meta.rows["quarantined"] == {code: 1}
    assert dataset.meta.rows["ingested"] == 69
    (kept,) = dataset.frame("quarantine").to_dict("records")
    assert next(iter(changes)) in kept["reason"]
    assert kept["table"] == "outcomes"


def _change(**columns: object) -> pd.DataFrame:
    return sound().assign(**columns)


def _spaced(days: int) -> pd.DataFrame:
    table = sound()
    moved = START + (pd.to_datetime(table["date"]) - START) * days
    return table.assign(date=moved.dt.strftime("%Y-%m-%d"))


REFUSED = [
    (sound().drop(columns="clicks"), r"clicks: column is missing from .*add or rename the column"),
    (sound()[:0], r"has a header and no row of a day below it; export it again with daily rows"),
    (sound(20), r"date: the history has 20 cycle\(s\) of day, .*at least 28"),
    (_change(platform="search")[::2], r"platform: the history has one platform \('search'\); a split needs two"),
    (_change(conversions=0, revenue=0), r"conversions: 0 in all of the training period"),
    (
        _change(date=pd.to_datetime(sound()["date"]).dt.strftime("%jth day of %Y")),
        r"date: '\d+th day of 2025' is read by no format; write dates with their year, as YYYY-MM-DD \(70 of 70 rows",
    ),
    (_spaced(30), r"date: rows are 30 days apart"),
    (pd.concat([sound(), sound().assign(spend=5.0)]), r"date: 140 of 140 rows share their date, platform and campaign"),
    (sound().drop(index=range(10, 40)), r"date: 15 of 35 cycles .* have no row"),
]


@pytest.mark.parametrize(("history", "message"), REFUSED, ids=range(len(REFUSED)))
def test_history_that_cannot_be_used(tmp_path: Path, history: pd.DataFrame, message: str) -> None:
    with pytest.raises(DataError, match=message):
        ingested(tmp_path, history)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("date,platform,date\n", r"date: column appears twice"),
        (sound().to_csv(index=False) + "2025-02-10,search,1,234,5,6,7,8\n", r"row 72 .* has 8 fields, the header 7"),
        ('date,platform\n"2025', r"cannot be read"),
        ("\n\n", r"is empty; pass a history"),
    ],
)
def test_file_that_is_no_table(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        ingested(tmp_path, text)


def test_cycle_length_must_fit_the_rows(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"data\.cycle_hours: 6 h; .* multiple of 24 h"):
        ingested(tmp_path, sound(), "data.cycle_hours=6")


def test_gaps_are_told_and_not_fitted_on(tmp_path: Path) -> None:
    dataset = ingested(tmp_path, sound(40).drop(index=[20, 21, 24]))  # day 10 whole, day 12 without search
    assert any(note.startswith("1 of 40 cycles have no row") for note in dataset.meta.notes)
    log = read(dataset)
    assert not log.fitted_cycles()[10]
    assert log.totals()["spend"][12, 0].tolist() == [pytest.approx(sound(40).loc[25, "spend"]), 0.0]


def test_conversions_beyond_clicks_leave_their_revenue(tmp_path: Path) -> None:
    dataset = ingested(tmp_path, sound(clicks=10, conversions=30))
    row = dataset.frame("outcomes").query("cycle == 0 and platform == 'search'").iloc[0]
    assert (row["conversions"], row["revenue"]) == (10, sound().loc[0, "revenue"])
    assert dataset.meta.rows["imputed"] == {"conversions_beyond_clicks": 1}


def test_weekly_history_has_cycles_of_seven_days(tmp_path: Path) -> None:
    weekly = _spaced(7).assign(planned=lambda t: t["spend"].astype(float) * 1.1)
    dataset = ingested(tmp_path, weekly)
    assert (dataset.meta.cycle_hours, dataset.meta.cycles, dataset.meta.weekday_pattern) == (168, 35, False)
    log = read(dataset)
    np.testing.assert_allclose(log.planned(dataset)[0], 1.1 * log.totals()["spend"], rtol=1e-9)
    daily = ingested(tmp_path / "grouped", sound(14 * 35), "data.cycle_hours=168")
    grouped, plans = read(daily), daily.frame("plans")
    np.testing.assert_allclose(grouped.totals()["spend"].sum(), plans["planned_budget"].sum())


def test_held_out_days_are_fixed_and_of_the_training_period(tmp_path: Path) -> None:
    first, again = (ingested(tmp_path / name, sound(60)).frame("outcomes") for name in "ab")
    pd.testing.assert_frame_equal(first, again)
    held = first.loc[first["holdout"], "cycle"].unique()
    assert len(held) == round(0.25 * 42)
    assert held.max() < 42
    none = ingested(tmp_path / "c", sound(60), "data.holdout_days=0").frame("outcomes")
    assert not none["holdout"].any()


def test_more_platforms_than_slots_become_other(tmp_path: Path) -> None:
    parts = [sound().assign(platform=lambda t, n=n: t["platform"] + str(n), spend=10.0 + n) for n in range(6)]
    with pytest.raises(DataError, match="social1, search0, social0 would be split as one, 'other', with 21% of"):
        ingested(tmp_path / "asked", pd.concat(parts))
    dataset = ingested(tmp_path / "taken", pd.concat(parts), 'data.accept=["other"]')
    assert len(dataset.meta.platforms) == 10
    assert dataset.meta.platforms[-1] == "other"
    np.testing.assert_allclose(read(dataset).totals()["spend"].sum(), 35 * 2 * sum(10.0 + n for n in range(6)))


def test_statistics_replay_what_the_history_says(tmp_path: Path) -> None:
    dataset = ingested(tmp_path, sound())
    table = statistics(dataset, _config())
    totals = read(dataset).totals()
    last = table.iloc[-1]
    weight = 0.6 ** np.arange(19, -1, -1)  # the state's window and decay
    for slot in range(2):
        clicks, shown = (weight @ totals[name][-20:, 0, slot] for name in ("clicks", "impressions"))
        names = [name for name in table.columns if name.endswith("windowed_ctr")]
        assert last[names[slot]] == pytest.approx(clicks / shown, rel=1e-4)
    assert np.isfinite(table.select_dtypes("number").to_numpy()).all()


def _config() -> Config:
    return load("laptop", ["data.source=spend", "data.path=history.csv"])


def test_fusion_has_nothing_to_fuse_and_says_so(tmp_path: Path) -> None:
    dataset = ingested(tmp_path, sound())
    out = tmp_path / "fusion"
    out.mkdir()
    report = fuse(_config(), dataset.path, tmp_path, out)
    assert report["click"] is None
    assert report["modalities"] == []
    assert "spend history" in report["notes"][0]
    assert len(pd.read_parquet(out / "predictions.parquet")) == 0
    page = render(ReportInputs(fusion=FusionReport.load(out), ingest=IngestReport.load(dataset.path)))
    assert "nothing to fuse" in page


def test_gates_of_single_impressions_do_not_apply() -> None:
    gates = {gate.name: gate for gate in without_impressions(_config())}
    assert set(gates) == {"fidelity.divergence.click_probability", "fidelity.divergence.price"}
    assert {gate.verdict for gate in gates.values()} == {"not applicable"}
    assert not any(gate.required for gate in gates.values())
    assert all("spend history" in gate.detail for gate in gates.values())


def campaigns() -> pd.DataFrame:
    """Two campaigns, one of which has days without any number, blank results and corrections."""
    spring, autumn = sound(40).infer_objects(), sound(40).infer_objects()
    autumn["spend"] = (1.3 * autumn["spend"] + np.arange(80) % 7).round(2)
    history = pd.concat([spring.assign(campaign="spring"), autumn.assign(campaign=" autumn")], ignore_index=True)
    history = history.assign(revenue=(3 * history["spend"]).round(1)).astype(object)
    history.loc[[3, 90], ["spend", "impressions", "clicks", "conversions", "revenue"]] = ""
    history.loc[[11, 12], ["conversions", "revenue"]] = ""
    history.loc[[7, 8], "revenue"] = -3.5
    return history


SOUND = {
    "days": sound,
    "weeks": lambda: sound(30).assign(
        date=np.repeat(pd.date_range(START, periods=30, freq="7D").strftime("%Y-%m-%d"), 2)
    ),
    "campaigns": campaigns,
    "days of the engine's choice": lambda: sound().sample(frac=1, random_state=1),
}


@pytest.mark.parametrize("kind", SOUND)
def test_a_history_without_fault_is_what_an_engine_makes_of_it(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    accepted = 'data.accept=["tracking"]'
    plain = ingested(tmp_path / "plain", SOUND[kind](), accepted)
    settings = load("laptop", ["data.source=spend", f"data.path={tmp_path / 'plain' / 'history.csv'}"])
    assert spend._sound(read_history(settings.data).columns)[0] is not None
    monkeypatch.setattr(spend, "_sound", lambda columns: (None, 0))
    cleaned = ingested(tmp_path / "cleaned", SOUND[kind](), accepted)
    names = sorted(file.name for file in plain.path.iterdir())
    assert "outcomes.parquet" in names
    for name in names:
        one, other = (dataset.path / name for dataset in (plain, cleaned))
        assert one.read_bytes() == other.read_bytes(), name


FAULTS = {
    "a word": {"clicks": "many"},
    "no spend": {"spend": ""},
    "below 0": {"impressions": -1.0},
    "more clicks than impressions": {"clicks": 1e6},
    "clicks without impressions": {"impressions": ""},
    "no platform": {"platform": ""},
    "no day": {"date": "soon"},
    "an endless number": {"revenue": "1e999"},
    "a plan": {"planned": 5.0},
}


@pytest.mark.parametrize("kind", FAULTS)
def test_a_row_that_may_be_at_fault_is_an_engines(kind: str) -> None:
    history = sound()
    history = history.assign(planned="") if "planned" in FAULTS[kind] else history
    texts = {name: history[name].astype(str).tolist() for name in history}
    assert spend._sound({name: texts[name] for name in texts if name != "planned"})[0] is not None
    for name, value in FAULTS[kind].items():
        texts[name][5] = str(value)
    assert spend._sound(texts) == (None, 0)


def test_rows_of_one_key_are_an_engines() -> None:
    history = sound()
    texts = {name: [*history[name].astype(str), str(history[name].iloc[0])] for name in history}
    assert spend._sound(texts) == (None, 0)
