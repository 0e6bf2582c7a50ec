"""The price model on real second-price auctions: five iPinYou campaigns, where they lie beside the project.

A price is a whole number of fen per thousand impressions. A model's quantile function is continuous, so its prices in
(69, 70] stand for 70, and laws are compared where prices lie. KS is the largest difference of two distribution
functions; its same-law quantile is what 99 of 100 pairs of samples of one law stay below, of the same sizes and with
the same ties.

The histograms hold auctions that the campaigns won; here their prices are taken for all there is, and censoring is put
on them by the tests. Auctions at price 0 are left out, as the fit leaves them out.
"""

from __future__ import annotations

import gzip
import json

import numpy as np
import numpy.typing as npt
import pytest
import torch
from scipy.special import ndtr

from crossmix.config import laptop
from crossmix.market.fit.supply import Supply, estimate, product_limit
from crossmix.market.price import EmpiricalPrice
from tests.support.real_data import SHARED

FOLDER = SHARED / "ipinyou"
CAMPAIGNS = ("1458", "2259", "2261", "2821", "2997")
TOP = 300
GRID = np.arange(TOP + 1)

Array = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

pytestmark = [
    pytest.mark.real_data,
    pytest.mark.skipif(
        not FOLDER.exists(), reason="the iPinYou histograms are neither in $CROSSMIX_SHARED_DATA nor in ../shared/data"
    ),
]


def train_counts(campaign: str) -> Counts:
    """Auctions of the training days by winning price, (301,)."""
    counts = np.array(json.loads((FOLDER / f"{campaign}.info.json").read_text())["price_counter_train"], np.int64)
    counts[0] = 0
    return counts


def test_day_counts() -> Counts:
    """The same of campaign 2997's first 60,000 auctions of the test days."""
    with gzip.open(FOLDER / "2997.test.theta.first60k.txt.gz", "rt") as file:
        price = np.loadtxt(file, usecols=1, dtype=np.int64)
    return np.bincount(price[price > 0], minlength=TOP + 1)


test_day_counts.__test__ = False  # type: ignore[attr-defined]


def law(counts: Counts) -> Array:
    """P(price <= x) at every whole x, (301,)."""
    return np.asarray(np.cumsum(counts) / counts.sum())


def same_law_quantile(first: Counts, second: Counts) -> float:
    """99 % quantile of KS between two samples of the pooled law."""
    rng = np.random.default_rng(0)
    pooled = (first + second) / (first + second).sum()
    drawn = [np.cumsum(rng.multinomial(n, pooled, size=400), axis=1) / n for n in (first.sum(), second.sum())]
    return float(np.quantile(np.abs(drawn[0] - drawn[1]).max(1), 0.99))


def fitted(price: Array, bid: Array | None = None) -> Supply:
    """The product's fit, of a single cycle, with its default number of quantiles."""
    return estimate(
        price, bid, np.zeros(len(price), np.int64), np.ones(len(price), bool), 1,
        fit_cycles=1, quantiles=laptop().market.quantiles, assumed_win_rate=1.0, assumed_dispersion=0.0,
    )  # fmt: skip


def empirical_law(knots: Array) -> Array:
    """The same under `EmpiricalPrice`: the share of its levels whose quantile is at most x."""
    level = torch.linspace(0, 1, 20_001, dtype=torch.float64)
    price = EmpiricalPrice.of(torch.tensor(knots)[None]).rows(torch.zeros(len(level), dtype=torch.long))
    return np.asarray(np.searchsorted(price.quantile(level).numpy(), GRID + 1e-6, side="right") / len(level))


def lognormal_law(price: Array) -> Array:
    """The same under the lognormal with the moments of the log prices, rounded, which is kindest to it."""
    logs = np.log(price)
    return np.asarray(ndtr((np.log(GRID + 0.5) - logs.mean()) / logs.std()))


def auctions(counts: Counts) -> Array:
    """The price of every auction of a histogram."""
    return np.repeat(GRID, counts).astype(float)


def distance(first: Array, second: Array) -> float:
    return float(np.abs(first - second).max())


def greenwood(price: Array, bid: Array, top: float) -> Array:
    """Standard error of the product limit's law relative to F(top), on `GRID` up to `top`: Greenwood's formula for
    truncated data, F^2 sum of d / (R (R - d)) over the prices between; computed here, not by the product.
    """
    ordered = np.sort(price)
    points, ties = np.unique(ordered, return_counts=True)
    at_risk = np.searchsorted(ordered, points, side="right") - np.searchsorted(np.sort(bid), points, side="left")
    part = np.where(at_risk > ties, ties / (at_risk * np.maximum(at_risk - ties, 1.0)), 0.0)
    part = np.where(points <= top, part, 0.0)
    beyond = np.array([part[points > x].sum() for x in GRID])
    found = np.interp(GRID, *product_limit(price, bid))
    return np.asarray(found * np.sqrt(beyond))


@pytest.mark.parametrize("campaign", CAMPAIGNS)
def test_the_empirical_law_is_nearer_than_a_lognormal(campaign: str, capsys: pytest.CaptureFixture[str]) -> None:
    """2997 on its real test auctions of another day; the others have none, so a random half judges the other half."""
    counts = train_counts(campaign)
    if campaign == "2997":
        fit_on, judged_on = counts, test_day_counts()
    else:
        fit_on = np.random.default_rng(0).multivariate_hypergeometric(counts, counts.sum() // 2, method="marginals")
        judged_on = counts - fit_on
    price = auctions(fit_on)
    found = distance(empirical_law(fitted(price).knots), law(judged_on))
    lognormal = distance(lognormal_law(price), law(judged_on))
    samples = distance(law(fit_on), law(judged_on))
    quantile = same_law_quantile(fit_on, judged_on)
    with capsys.disabled():
        print(
            f"\n{campaign}: KS empirical {found:.4f}, lognormal {lognormal:.4f}; the two samples {samples:.4f}, "
            f"same law below {quantile:.4f}"
        )
    assert found < lognormal
    # What the 128 quantiles may add to the distance of the samples: less than one step of their levels.
    assert found < samples + 1 / laptop().market.quantiles
    if campaign != "2997":
        assert samples < quantile
        assert found < 0.1 * lognormal


def test_a_law_censored_at_the_median_bid_is_recovered_below_it(capsys: pytest.CaptureFixture[str]) -> None:
    """(a) Every bid is the median price; what was lost is known as lost, so the share won scales the law."""
    counts = train_counts("2997")
    price = auctions(counts)
    median = float(np.median(price))
    rng = np.random.default_rng(0)
    day = rng.choice(price, 60_000)
    won = day[day <= median]
    points, below = product_limit(won, np.full(len(won), median))
    # Flat bids say nothing above themselves: the law ends there at 1, and the share won is F(median).
    assert points[-1] <= median
    assert below[-1] == 1
    share = len(won) / len(day)
    inside = median >= GRID
    raw = np.concatenate([[0.0], below])[np.searchsorted(points, GRID, side="right")] * share
    modelled = empirical_law(fitted(won, np.full(len(won), median)).knots) * share
    of_limit, of_knots = (distance(found[inside], law(counts)[inside]) for found in (raw, modelled))
    quantile = same_law_quantile(counts, np.bincount(day.astype(int), minlength=TOP + 1))
    with capsys.disabled():
        print(
            f"\n2997 censored at the median {median:g}: KS product limit {of_limit:.4f}, with 128 quantiles "
            f"{of_knots:.4f}, same law below {quantile:.4f}; above the median nothing is known: "
            f"{distance(raw, law(counts)):.4f}"
        )
    assert of_limit < quantile
    assert of_knots < quantile + 1 / laptop().market.quantiles


def test_a_law_truncated_by_bids_around_the_median_is_recovered(capsys: pytest.CaptureFixture[str]) -> None:
    """(b) Only won auctions with their bids are kept: the product limit finds the law as far as bids reach."""
    counts = train_counts("2997")
    price = auctions(counts)
    rng = np.random.default_rng(1)
    day = rng.choice(price, 60_000)
    bid = np.median(price) * np.exp(0.5 * rng.standard_normal(len(day)))
    won = day <= bid
    # One bid in a hundred reaches further: beyond, the log hardly says anything.
    top = float(np.floor(np.quantile(bid, 0.99)))
    inside = top >= GRID
    truth = law(counts) / law(counts)[int(top)]
    points, found = product_limit(day[won], bid[won])
    raw = np.concatenate([[0.0], found])[np.searchsorted(points, GRID, side="right")]
    modelled = empirical_law(fitted(day[won], bid[won]).knots)
    naive = law(np.bincount(day[won].astype(int), minlength=TOP + 1))
    of_limit, of_knots, of_paid = (
        distance(each[inside] / each[int(top)], truth[inside]) for each in (raw, modelled, naive)
    )
    quantile = same_law_quantile(counts, np.bincount(day.astype(int), minlength=TOP + 1))
    error = float(greenwood(day[won], bid[won], top)[inside].max())
    with capsys.disabled():
        print(
            f"\n2997 truncated, {won.mean():.0%} won, identified up to {top:g}: KS product limit {of_limit:.4f}, with "
            f"128 quantiles {of_knots:.4f}, same law below {quantile:.4f}, largest standard error {error:.4f}; "
            f"what was paid, uncorrected {of_paid:.4f}; over all prices {distance(raw, law(counts)):.4f}"
        )
    allowed = quantile + 3 * error
    assert of_limit < allowed
    assert of_knots < allowed + 1 / laptop().market.quantiles
    assert of_paid > 3 * allowed


def test_the_volume_behind_won_auctions_is_recovered_as_far_as_bids_reach(capsys: pytest.CaptureFixture[str]) -> None:
    """Mean of five draws, whose scatter is 1 % each; requests dearer than the twentieth highest bid stay unseen."""
    counts = train_counts("2997")
    price = auctions(counts)
    ratios = []
    for seed in range(1, 6):
        rng = np.random.default_rng(seed)
        day = rng.choice(price, 60_000)
        bid = np.median(price) * np.exp(0.5 * rng.standard_normal(len(day)))
        won = day <= bid
        seen = law(counts)[int(np.sort(bid[won])[-20])] * len(day)
        ratios.append(float(fitted(day[won], bid[won]).requests.sum()) / seen)
    with capsys.disabled():
        print(f"\n2997 truncated: volume over what bids reach {np.mean(ratios):.3f} ± {np.std(ratios):.3f}")
    assert np.mean(ratios) == pytest.approx(1, abs=0.02)
