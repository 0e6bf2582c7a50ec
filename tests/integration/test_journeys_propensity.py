"""A log of one's own with propensities: from its files to what they say of the policies that the gates judge."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from crossmix.artifacts import GateTable, JourneysJudged
from crossmix.config import Config, load
from crossmix.ingest.step import ingest
from crossmix.journeys import bundled, choices
from crossmix.journeys.answer import Prices
from crossmix.journeys.bundled import JourneyBundle
from crossmix.journeys.gates.played import EQ17, LOG, OWN_CLICKS, RESPONSE
from crossmix.journeys.log import Events, JourneyError
from crossmix.journeys.logged import ROBUST
from crossmix.journeys.prepared import Log, read_log
from crossmix.journeys.settings import Allocation
from crossmix.report.inputs import ReportInputs
from crossmix.report.page import render
from crossmix.schema import Dataset
from tests.support.journeys_run import chain, learned

CAMPAIGN = "cheap"


def written(log: Events, share_C: np.ndarray, path: Path) -> pd.DataFrame:
    """The planted world's log as an advertiser's file, with the chance of each channel that it took."""
    at = pd.Timestamp("2026-01-01") + pd.to_timedelta(np.round(log.seconds_R, 6), unit="s")
    table = pd.DataFrame(
        {
            "impression_id": [f"n{number:06d}" for number in range(len(log))],
            "timestamp": at,
            "user_id": np.asarray(log.users)[log.user_R],
            "campaign_id": CAMPAIGN,
            "platform": np.asarray(log.channels)[log.channel_R],
            "price_paid": log.cost_R,
            "clicked": log.clicked_R,
            "converted": log.converted_R,
            "revenue": log.revenue_R,
            "conversion_timestamp": at.where(log.converted_R),
            "propensity": share_C[log.channel_R],
        }
    )
    table.to_parquet(path, index=False)
    return table


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    path = tmp_path_factory.mktemp("log") / "impressions.parquet"
    written(learned().log, learned().world.share_C, path)
    return load(
        "laptop",
        ["task=journeys", "data.source=impressions", f"data.path={path}", "data.settings.currency=EUR",
         "data.keep_platforms=10", "data.holdout_users=0.4", "journeys.allocation.worth_click=1.0"],
    )  # fmt: skip


@pytest.fixture(scope="module")
def log(config: Config, tmp_path_factory: pytest.TempPathFactory) -> Log:
    out = tmp_path_factory.mktemp("dataset")
    ingest(config, out)
    return read_log(config, Dataset(out))


@pytest.fixture(scope="module")
def bundle(config: Config, tmp_path_factory: pytest.TempPathFactory) -> JourneyBundle:
    """Of the model that was learned on the world's log."""
    cost_C = tuple(learned().world.cost_C.tolist())
    prices = Prices(currency="EUR", cost_C=cost_C, worth_click=1.0, worth_conversion_C=(0.0,) * len(cost_C), shadow=0.1)
    folder = tmp_path_factory.mktemp("bundle") / "bundle"
    return bundled.save(folder, learned().response, config=config, prices={CAMPAIGN: prices}, data_digest="0")


def test_each_exposure_keeps_its_own_propensity(log: Log) -> None:
    events, share_C = log.ready.events, learned().world.share_C
    order = [learned().world.channels.index(name) for name in events.channels]
    np.testing.assert_array_equal(log.propensity_R, share_C[order][events.channel_R])


def test_what_the_model_would_earn_is_what_the_world_says(log: Log, bundle: JourneyBundle) -> None:
    """Users' clicks on a channel are known: the judged steps tell what each policy really earns per cost."""
    settings = Allocation(worth_click=1.0, picked=0.4)
    ordered = replace(log, ready=learned().ready, propensity_R=learned().world.share_C[learned().log.channel_R])
    ordered = replace(ordered, campaign_R=np.repeat(CAMPAIGN, len(learned().log)))
    clicks_alone = replace(learned().log, revenue_R=np.zeros(len(learned().log)))
    table = replace(ordered.ready.table, events=clicks_alone)
    ordered = replace(ordered, ready=replace(ordered.ready, table=table))
    world = learned().world
    found = choices.of_log(ordered, bundle, world.share_C, settings)
    assert found is not None
    assert set(found.policies) == {RESPONSE, OWN_CLICKS, EQ17}
    row_S = ordered.ready.test.row_S
    places = choices.places_of(ordered, bundle, row_S, settings)
    policy_SC = choices.by_margin(places)
    true = float((policy_SC * world.click_UC[places.user_S]).sum() / (policy_SC * world.cost_C).sum())
    own = found.policies[RESPONSE]
    assert own.enough
    assert own.per_cost[ROBUST].low < true < own.per_cost[ROBUST].high
    assert found.lead(RESPONSE, "log", ROBUST).low > 0
    assert found.exposures == len(row_S)


def test_a_log_without_them_says_nothing(log: Log, bundle: JourneyBundle) -> None:
    blank = replace(log, propensity_R=np.full(len(log.propensity_R), np.nan))
    assert choices.of_log(blank, bundle, np.full(10, 0.1), Allocation()) is None


@pytest.mark.parametrize(
    ("row", "value", "says"),
    [(7, 1.3, r"^propensity: 1\.3 in row \d+ \(impression_id 'n000007'\)"), (9, 0.0, "^propensity: 0 in row")],
)
def test_one_that_is_no_probability_stops_the_run(
    config: Config, tmp_path: Path, row: int, value: float, says: str
) -> None:
    path = tmp_path / "impressions.parquet"
    table = written(learned().log, learned().world.share_C, path)
    table.loc[row, "propensity"] = value
    table.to_parquet(path, index=False)
    wrong = replace(config, data=replace(config.data, path=str(path)))
    (tmp_path / "out").mkdir()
    ingest(wrong, tmp_path / "out")
    with pytest.raises(JourneyError, match=says):
        read_log(wrong, Dataset(tmp_path / "out"))


def test_platforms_that_ingest_puts_together_have_none(config: Config, tmp_path: Path) -> None:
    few = replace(config, data=replace(config.data, keep_platforms=4))
    ingest(few, tmp_path)
    with pytest.raises(JourneyError, match="propensity: it is of single platforms"):
        read_log(few, Dataset(tmp_path))


@pytest.mark.slow
def test_a_run_s_gates_and_report_tell_what_policies_would_have_earned(config: Config, tmp_path: Path) -> None:
    few = ("journeys.learning.epochs=1", "journeys.most_users=500", "journeys.allocation.picked=0.5")
    own = [f"data.path={config.data.path}", "data.source=impressions", "data.settings.currency=EUR"]
    own += ["data.keep_platforms=10", "data.holdout_users=0.6", "journeys.allocation.worth_click=1.0"]
    ran = chain(tmp_path, [*own, *few])
    found = {gate.name: gate for gate in GateTable.load(ran.evaluation).gates}
    for name in ("journey.value.log", "journey.value.eq17", "journey.value.own_clicks"):
        assert found[name].value is not None, found
    assert "doubly robust" in found["journey.value.spent"].detail
    assert found["journey.value.own_clicks"].required is False
    assert found["journey.apart"].verdict == "pass"
    told = JourneysJudged.load(ran.evaluation)
    assert set(told.players) == {LOG, RESPONSE, OWN_CLICKS, EQ17}
    assert told.players[RESPONSE].low < told.players[RESPONSE].revenue_per_cost < told.players[RESPONSE].high
    text = render(ReportInputs.collect(ran.folders), tmp_path / "report.html")
    assert "told by the chances with which the log took its channels" in text
    assert "estimated from the log&#39;s propensities, doubly robust" in text
