"""The generated log: reproducible, in the ranges it promises, and made by the mechanism it documents."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from crossmix.config import Demo
from crossmix.schema import DataError
from crossmix.sources.demo import generate, world
from crossmix.sources.demo_creatives import CATEGORIES, STYLES, render
from crossmix.sources.demo_log import Log

SMALL = Demo(days=28, campaigns=2, users=1_500, creatives=20, requests_per_day=300)


@pytest.fixture(scope="module")
def log() -> Log:
    return generate(SMALL)


@pytest.fixture(scope="module")
def sound(log: Log) -> pd.DataFrame:
    """The log without its planted dirt."""
    frame = log.impressions
    return frame[frame["impression_id"].str.startswith("i")].drop_duplicates("impression_id")


def test_same_seed_same_log_other_seed_another(log: Log) -> None:
    again = generate(SMALL)
    for name in ("impressions", "creatives", "plans"):
        pd.testing.assert_frame_equal(getattr(log, name), getattr(again, name))
    other = generate(replace(SMALL, seed=8)).impressions
    assert not other["price_paid"].equals(log.impressions["price_paid"])


def test_default_sizes_promise_enough_rows() -> None:
    truth = world(Demo())
    requests = (truth.requests_CP * truth.volume_PW.mean(1)).sum() * truth.demo.days
    assert requests > 1_000_000  # about a third of them is won


def test_only_wins_are_logged_and_second_price_is_paid(sound: pd.DataFrame) -> None:
    assert (sound["bid_price"] > sound["price_paid"]).all()
    assert (sound["price_paid"] > 0).all()


def test_spend_stops_at_the_planned_budget(log: Log, sound: pd.DataFrame) -> None:
    plans = log.plans[log.plans["platform"] != "fax"].set_index(["campaign_id", "platform", "date"])["planned_budget"]
    spend = sound.groupby(["campaign_id", "platform", sound["timestamp"].dt.date])["price_paid"].sum()
    spend.index.names = plans.index.names
    ratio = (spend / plans).dropna()
    assert ratio.max() <= 1 + 1e-9
    assert 0.85 < spend.sum() / plans.sum() < 1


def test_planned_shares_keep_their_limits_and_sum_to_one() -> None:
    truth = world(SMALL)
    np.testing.assert_allclose(truth.share_DCP.sum(-1), 1)
    assert (truth.share_DCP >= truth.minimum_P - 1e-9).all()
    assert (truth.share_DCP <= np.nan_to_num(truth.maximum_P, nan=1.0) + 1e-9).all()


def test_rates_lie_where_the_paper_has_them(sound: pd.DataFrame) -> None:
    by = sound.groupby("platform")
    ctr = by["clicked"].mean()
    cvr = by["converted"].sum() / by["clicked"].sum()
    roas = by["revenue"].sum() / by["price_paid"].sum()
    # Tables 1 and 2: CTR 0.06 to 0.18, CVR 0.12 to 0.38; a small log and its drift scatter around them.
    assert ctr.between(0.04, 0.25).all(), ctr
    assert cvr.between(0.10, 0.45).all(), cvr
    assert roas.max() / roas.min() > 5, roas


def test_planted_drift_has_the_configured_size() -> None:
    truth = world(replace(SMALL, days=2_000, response_drift=0.3, price_drift=0.2, drift_persistence=0.9))
    for path, sd in ((truth.response_drift_DCP, 0.3), (truth.price_drift_DCP, 0.2)):
        assert path.std() == pytest.approx(sd, rel=0.1)
        lagged = np.corrcoef(path[1:, 0, 0], path[:-1, 0, 0])[0, 1]
        assert lagged == pytest.approx(0.9, abs=0.05)


def test_logged_prices_follow_the_planted_lognormal(sound: pd.DataFrame) -> None:
    # Given the bid, a paid price is LN(mu, sigma) cut at the bid: its rank within that is uniform.
    from scipy.special import ndtr

    truth = world(SMALL)
    campaign = sound["campaign_id"].map({name: i for i, name in enumerate(truth.campaigns)}).to_numpy()
    platform = sound["platform"].map({name: i for i, name in enumerate(truth.platforms)}).to_numpy()
    day = (sound["timestamp"] - sound["timestamp"].min().normalize()).dt.days.to_numpy()
    mu = truth.mu_CP[campaign, platform] + truth.price_drift_DCP[day, campaign, platform]
    sigma = truth.sigma_CP[campaign, platform]
    price, bid = (ndtr((np.log(sound[name]) - mu) / sigma) for name in ("price_paid", "bid_price"))
    quantiles = np.quantile(price / bid, [0.1, 0.25, 0.5, 0.75, 0.9])
    np.testing.assert_allclose(quantiles, [0.1, 0.25, 0.5, 0.75, 0.9], atol=0.02)


def test_weekend_brings_another_volume() -> None:
    truth = world(SMALL)
    search, video = (truth.platforms.index(name) for name in ("search", "video"))
    assert truth.volume_PW[search, 6] < 1 < truth.volume_PW[video, 6]


def test_later_wins_of_a_day_respond_less(sound: pd.DataFrame) -> None:
    nth = sound.groupby(["campaign_id", "platform", sound["timestamp"].dt.date]).cumcount()
    assert sound["clicked"][nth < 30].mean() > 1.1 * sound["clicked"][nth >= 90].mean()


def test_conversions_are_delayed_and_a_few_are_late(sound: pd.DataFrame) -> None:
    sold = sound[sound["converted"]]
    delay = (sold["conversion_timestamp"] - sold["timestamp"]) / pd.Timedelta(days=1)
    assert (delay > 0).all()
    assert 0.002 < (delay > 30).mean() < 0.06
    assert sold["clicked"].all()
    assert (sold["revenue"] > 0).all()


def test_images_are_rendered_at_the_papers_size() -> None:
    seen = set()
    for number, (category, *_) in enumerate(CATEGORIES):
        for style, _ in STYLES:
            png = render(category, style, number)
            with Image.open(io.BytesIO(png)) as image:
                assert (image.size, image.mode) == ((224, 224), "RGB")
            seen.add(png)
    assert len(seen) == len(CATEGORIES) * len(STYLES)


def test_each_modality_carries_signal() -> None:
    truth = world(Demo())
    assert truth.creatives.appeal_K.std() > 0.3
    assert truth.click_U.std() > 0.5
    assert None in truth.creatives.image
    assert None in truth.creatives.text


def test_too_few_creatives_is_told() -> None:
    with pytest.raises(DataError, match=r"data\.demo\.creatives: 1 is fewer than data\.demo\.campaigns = 2"):
        world(replace(SMALL, creatives=1))
