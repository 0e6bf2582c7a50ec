"""What the response gate judges, by closed forms and planted errors; the worth of a conversion by campaign."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from crossmix.journeys.answer import Answer, Prices
from crossmix.journeys.calibration import Told, ratio, told
from crossmix.journeys.measured import POOLED, worth_by_campaign
from crossmix.journeys.prepared import Prepared, prepare
from crossmix.journeys.references import own_clicks
from crossmix.journeys.score import auc, draws
from crossmix.journeys.settings import Journeys
from crossmix.journeys.windows import TEST
from tests.support.journeys import events

PRICES = Prices(currency="c", cost_C=(1.0,) * 3, worth_click=0.5, worth_conversion_C=(2.0,) * 3, shadow=0.0)


def ready_of(**changes: float) -> Prepared:
    return prepare(events(300, 3, **changes), np.random.default_rng(0).choice(3, 300, p=[0.5, 0.2, 0.3]), Journeys())


def constant(steps: int, click: float, conversion: float) -> Answer:
    click_UC, conversion_UC = np.full((steps, 3), click), np.full((steps, 3), conversion)
    return Answer(click_UC, click_UC, click_UC, conversion_UC, conversion_UC, conversion_UC)


def of(ready: Prepared, click: float, conversion: float) -> Told:
    campaign_R = np.full(len(ready.events), "k")
    return told(ready, constant(len(ready.test.row_S), click, conversion), {"k": PRICES}, campaign_R, 0, 100)


def test_the_ratio_is_that_of_sums_and_its_interval_that_of_users() -> None:
    predicted, observed = np.array([0.5, 0.5, 0.2, 0.2]), np.array([1.0, 0.0, 0.0, 1.0])
    code, times = draws(np.array([0, 0, 1, 1]), 0, 200)
    found = ratio(predicted, observed, code, times)
    assert found is not None
    assert found.value == pytest.approx(0.7)
    assert (found.low, found.high) == pytest.approx((0.4, 1.0))
    assert ratio(predicted, np.zeros(4), code, times) is None


def test_rates_twice_as_high_are_found_twice_as_high() -> None:
    ready = ready_of()
    row = ready.test.row_S + 1
    click, conversion = (float(one[row].mean()) for one in (ready.events.clicked_R, ready.events.converted_R))
    right, twice = of(ready, click, conversion), of(ready, click, 2 * conversion)
    assert right.click_ratio is not None
    assert right.click_ratio.value == pytest.approx(1.0)
    assert right.conversion_ratio is not None
    assert right.conversion_ratio.value == pytest.approx(1.0)
    assert right.value_ratio is not None
    assert right.value_ratio.value == pytest.approx(1.0), "worths are the log's own: 2 a conversion, 0.5 a click"
    assert twice.conversion_ratio is not None
    assert twice.conversion_ratio.value == pytest.approx(2.0)
    assert twice.conversion_ratio.low > 1.5
    assert twice.click_ratio == right.click_ratio
    assert right.auc is not None
    assert right.auc.value == pytest.approx(0.5)


def test_the_lead_is_over_the_reference_that_knows_the_channel() -> None:
    found = of(ready_of(), 0.3, 0.1)
    assert found.lead is not None
    assert found.own_auc is not None
    assert found.reference_auc is not None
    assert found.reference_auc.value != found.own_auc.value
    assert found.lead.value == pytest.approx(0.5 - found.reference_auc.value)


def test_a_log_without_conversions_or_clicks_tells_none() -> None:
    ready = ready_of()
    none = np.zeros(len(ready.events), bool)
    bare = replace(ready.events, converted_R=none, revenue_R=np.zeros(len(none)))
    unsold = replace(ready, table=replace(ready.table, events=bare))
    found = of(unsold, 0.3, 0.1)
    assert (found.conversions, found.conversion_ratio) == (0, None)
    quiet = replace(unsold, table=replace(unsold.table, events=replace(unsold.events, clicked_R=none)))
    found = of(quiet, 0.3, 0.1)
    assert (found.clicks, found.auc, found.lead, found.click_ratio) == (0, None, None, None)
    assert np.isfinite([found.slope, found.slope_error, found.conversion_slope, found.conversion_slope_error]).all()


def test_the_reference_knows_the_channel() -> None:
    """Channel c is clicked far more often: own share alone cannot tell, with an intercept it can."""
    ready = ready_of(stay=0.0)
    extra = np.random.default_rng(1).random(len(ready.events)) < 0.6
    clicked = np.where(ready.events.channel_R == 2, ready.events.clicked_R | extra, ready.events.clicked_R & ~extra)
    made = prepare(replace(ready.events, clicked_R=clicked), ready.part_U, Journeys())
    user_S, clicked_S = made.events.user_R[made.test.row_S], made.table.next_click(made.test.row_S)
    code_S, times_DU = draws(user_S, 0, 100)
    found = []
    for fit in (own_clicks.fit, own_clicks.on_channel):
        click_S = fit(made.table, made.learn, made.validate, 0)(made.test).click_S
        assert click_S is not None
        found.append(auc(click_S, clicked_S, code_S, times_DU)[0])
    assert found[1] > found[0] + 0.1
    chance_S = own_clicks.on_channel(made.table, made.learn, made.validate, 0)(made.learn).click_S
    assert chance_S is not None
    assert chance_S.mean() == pytest.approx(made.table.next_click(made.learn.row_S).mean(), abs=1e-4)
    assert made.is_of(TEST).any()


def test_a_campaign_s_worth_is_its_own_as_far_as_conversions_tell() -> None:
    """Two campaigns of 1,000 and 3,000 conversions at 1 and 4; a third with 1 conversion at 100 leans on all."""
    log = events(2_000, 0, most=12)
    rng, many = np.random.default_rng(0), len(log)
    sold = rng.random(many) < 0.5
    campaign = np.where(rng.random(many) < 0.25, "cheap", "dear")
    campaign[np.flatnonzero(sold)[0]] = "new"
    revenue = np.select([campaign == "cheap", campaign == "dear"], [1.0, 4.0], 100.0) * sold
    made = replace(log, converted_R=sold, revenue_R=revenue)
    worth = worth_by_campaign(made, campaign)
    np.testing.assert_allclose(worth["cheap"], 1.0, rtol=0.05)
    np.testing.assert_allclose(worth["dear"], 4.0, rtol=0.05)
    mean = revenue[sold].mean()
    r = (100 + POOLED * mean) / ((1 + POOLED) * mean)
    c = log.channel_R[np.flatnonzero(sold)[0]]
    np.testing.assert_allclose(np.delete(worth["new"], c), r * mean, rtol=0.06)
    assert worth["new"][c] == pytest.approx((100 + POOLED * r * mean) / (1 + POOLED), rel=0.06)
    nothing = worth_by_campaign(replace(log, converted_R=sold & False, revenue_R=revenue * 0), campaign)
    assert all((one == 0).all() for one in nothing.values())
