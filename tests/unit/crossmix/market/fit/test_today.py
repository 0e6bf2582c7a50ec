"""Today's budget and splits: the last full window of cycles, a campaign's own, and what an unknown plan is taken as."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from crossmix import whatif
from crossmix.artifacts import IngestReport
from crossmix.config import Config, load
from crossmix.market.fit.fit import estimate
from crossmix.market.fit.log import read
from crossmix.market.fit.plan import plan_of
from crossmix.market.fit.today import Today, today
from crossmix.market.logged_states import statistics
from crossmix.market.model import load as load_market
from crossmix.market.model import save
from crossmix.schema import Dataset
from tests.support.bent_histories import WORLD, ended, planned, planted
from tests.support.histories import ingested
from tests.support.raw_logs import SOLD, SOLD_ROW, row, run


def _today(dataset: Dataset) -> Today:
    log = read(dataset)
    return today(log, log.planned(dataset)[0])


def _last(history: pd.DataFrame, days: int = 14) -> pd.Series:
    """Mean spend a day of every platform in the last days."""
    kept = sorted(history["date"].unique())[-days:]
    return history[history["date"].isin(kept)].groupby("platform")["spend"].sum() / days


def _config() -> Config:
    return load("laptop", ["data.source=spend", "data.path=history.csv"])


def test_a_budget_that_grew_threefold_is_todays(tmp_path: Path) -> None:
    history = planted(126, growth=3.0)
    dataset = ingested(tmp_path, history)
    log, last = read(dataset), _last(history)
    plan = plan_of(_config(), log, *log.planned(dataset), log.totals()["spend"].sum(0) == 0)
    assert plan.budget[0] == pytest.approx(last.sum())
    for split in (plan.control, plan.static):
        np.testing.assert_allclose(split[0], last[list(log.meta.platforms)] / last.sum(), atol=1e-4)
    # Of the training period it would have been half as much.
    days = sorted(history["date"].unique())[:88]
    assert history[history["date"].isin(days)]["spend"].sum() / 88 < 0.7 * last.sum()


def test_a_platform_that_ended_has_nothing_today_and_is_asked_about(tmp_path: Path) -> None:
    dataset = ingested(tmp_path, ended(planted(), "video", 60))
    meta, now = dataset.meta, _today(dataset)
    video = meta.platforms.index("video")
    assert now.spent_CP[0, video] == now.planned_CP[0, video] == 0
    (stopped,) = meta.stopped
    assert (stopped.platform, stopped.last, stopped.cycles) == ("video", "2025-03-06", 60)
    (line,) = IngestReport.load(dataset.path).told
    assert line.startswith("video: nothing spent since 2025-03-06 (60 cycles), so today it has 0 %. May it come back?")
    assert """--set 'limits.freeze=["video"]'""" in line


def test_a_platform_that_began_late_has_its_part_of_today(tmp_path: Path) -> None:
    history = planted()
    late = history[(history["platform"] != "video") | (history["date"] >= "2025-04-01")]
    dataset = ingested(tmp_path, late)
    last = _last(late)
    share = _today(dataset).spent_CP[0] / 14
    np.testing.assert_allclose(share, last[list(dataset.meta.platforms)], rtol=1e-9)
    assert dataset.meta.stopped == ()


def test_the_window_is_configs_and_a_weeks_cycle_is_whole(tmp_path: Path) -> None:
    history = planted(28 * 7 + 5)
    month = ingested(tmp_path / "month", history, "data.today_days=28")
    assert _today(month).budget_C[0] == pytest.approx(_last(history, 28).sum())
    weeks = ingested(tmp_path / "weeks", history, "data.cycle_hours=168")
    assert (weeks.meta.cycles, weeks.meta.today_cycles, weeks.meta.start[:10]) == (28, 2, "2025-01-11")
    assert _today(weeks).budget_C[0] == pytest.approx(7 * _last(history).sum())
    assert any(note.startswith("The first 5 days are left out") for note in weeks.meta.notes)
    short = ingested(tmp_path / "short", history, "data.today_days=0.5")
    assert _today(short).budget_C[0] == pytest.approx(_last(history, 1).sum())


def test_a_day_without_any_row_does_not_count(tmp_path: Path) -> None:
    history = planted()
    missing = sorted(history["date"].unique())[-4]
    gap = history[history["date"] != missing]
    days = sorted(history["date"].unique())[-14:]
    assert _today(ingested(tmp_path, gap)).budget_C[0] == pytest.approx(gap[gap["date"].isin(days)]["spend"].sum() / 13)


def test_a_campaign_that_is_over_tells_of_the_time_when_it_ran(tmp_path: Path) -> None:
    history = planted()
    over = history.assign(campaign="winter", spend=2 * history["spend"])
    over = over[over["date"] < "2025-03-01"]
    both = ingested(tmp_path, pd.concat([over, history.assign(campaign="always")]))
    now = dict(zip(both.meta.campaigns, _today(both).budget_C, strict=True))
    assert now["always"] == pytest.approx(_last(history).sum())
    assert now["winter"] == pytest.approx(_last(over).sum())


def test_blank_plans_are_unknown_and_not_nothing(tmp_path: Path) -> None:
    history = planted()
    dataset = ingested(tmp_path, planned(history, 1.1, known_days=55))
    assert _today(dataset).budget_C[0] == pytest.approx(1.1 * _last(history).sum(), rel=1e-4)
    log = read(dataset)
    np.testing.assert_allclose(log.planned(dataset)[0], 1.1 * log.totals()["spend"], rtol=1e-3)
    assert dataset.meta.rows["imputed"]["unknown_plans"] == 65 * len(WORLD)
    assert dataset.meta.rows["quarantined"] == {}
    none = ingested(tmp_path / "none", planned(history, known_days=0))
    assert read(none).plan_from_spend


def test_a_log_of_impressions_keeps_its_training_period(tmp_path: Path) -> None:
    rows = [row(number, **(SOLD if number == SOLD_ROW else {}), price_paid=1.0 + number // 72) for number in range(96)]
    log = pd.DataFrame(rows)
    log["conversion_timestamp"] = log["conversion_timestamp"].astype("datetime64[us]")
    log["timestamp"] = log["timestamp"].astype("datetime64[us]")
    dataset = run(tmp_path, log.assign(bid_price=9.0))
    assert dataset.meta.today_cycles == 0
    assert _today(dataset).budget_C[0] == pytest.approx(24.0)


def test_states_are_told_in_todays_budget(tmp_path: Path) -> None:
    history = planted(60, growth=3.0)
    dataset = ingested(tmp_path, history)
    table = statistics(dataset, _config())
    consumed = [name for name in table.columns if name.endswith("budget_consumed")][: len(WORLD)]
    # Plan and spend are the same, however the plan grew.
    np.testing.assert_allclose(table[consumed].sum(axis=1), 1.0, rtol=1e-3)


def test_a_campaign_that_is_over_is_told_and_has_no_budget_today(tmp_path: Path) -> None:
    running, over = planted(), planted(seed=2, scale=0.7)
    days = sorted(over["date"].unique())
    over = over[over["date"] < days[-60]]
    history = pd.concat([running.assign(campaign="running"), over.assign(campaign="over")])
    dataset = ingested(tmp_path, history)
    (one,) = dataset.meta.ended
    assert (one.campaign, one.last, one.cycles) == ("over", days[-61], 60)
    assert one.sentence in IngestReport.load(dataset.path).told
    assert one.sentence.startswith(f"over: the campaign ended on {days[-61]} (60 cycles ago), so its budget today is 0")
    market = estimate(_config(), dataset, read(dataset), None, periods="all")
    ended = dict(zip(market.campaigns, market.ended, strict=True))
    assert ended == {"running": None, "over": days[-61]}
    save(market, tmp_path)
    assert load_market(tmp_path).ended == market.ended
    answer = whatif.ask(whatif.make_scene(market, "over"), simulated_cycles=0)
    assert answer.notes[0].startswith(f"over ended on {days[-61]}: today it spends nothing.")
    assert whatif.ask(whatif.make_scene(market, "running"), simulated_cycles=0).ended is None


def test_where_all_campaigns_have_stopped_none_is_over(tmp_path: Path) -> None:
    history = planted().assign(campaign="only")
    last = sorted(history["date"].unique())[-20:]
    still = history["date"].isin(last)
    history.loc[still, ["spend", "impressions", "clicks", "conversions", "revenue"]] = 0
    assert ingested(tmp_path, history).meta.ended == ()
