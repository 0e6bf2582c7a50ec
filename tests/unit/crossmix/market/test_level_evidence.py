"""What one cycle's feedback says: against exact posteriors and against the laws that it is drawn from."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy import special, stats
from torch import Tensor

from crossmix.config import Levels as Law
from crossmix.market import level_evidence as evidence
from crossmix.market.level_evidence import COUNT, EARNED, QUANTITIES, Row, Seen, Usual
from crossmix.market.levels import learn, pass_cycle, start
from crossmix.market.model import Market
from tests.support.markets import make_market


def one(x: float) -> Tensor:
    return torch.tensor([[x]], dtype=torch.float64)


def counted(events: float, usual: float) -> Seen:
    known = torch.tensor([[True]])
    return Seen(known, known, one(events), one(usual), one(events), one(0), one(0), one(1), one(0), COUNT)


def test_a_count_is_taken_in_as_the_exact_posterior_says() -> None:
    """Log-normal rate, Poisson count: mean, variance and evidence on a grid, from nothing to far too much."""
    grid = np.linspace(-6, 6, 20_001)
    for deviation, usual, events in [
        (0.1, 80, 95),
        (0.3, 20, 9),
        (0.3, 3, 0),
        (1.0, 5, 12),
        (1.0, 3, 0),
        (0.5, 40, 160),
    ]:
        prior = np.exp(-0.5 * (grid / deviation) ** 2)
        posterior = (prior / prior.sum()) * stats.poisson.pmf(events, usual * np.exp(grid))
        whole = posterior.sum()
        posterior /= whole
        mean = (posterior * grid).sum()
        width = np.sqrt((posterior * (grid - mean) ** 2).sum())
        took = evidence.taken(counted(events, usual), one(0), one(deviation**2), one(0))
        assert float(took.shift) == pytest.approx(mean, abs=0.45 * width), (deviation, usual, events)
        assert float(took.after) ** 0.5 == pytest.approx(width, rel=0.4), (deviation, usual, events)
        told = float(took.log_likelihood) - float(torch.lgamma(one(events + 1)))
        # The Gamma law's tails are not the log-normal's: four times as many as expected are rarer by a fifth in ln.
        assert told == pytest.approx(np.log(whole), rel=0.2), (deviation, usual, events)


def test_few_counts_say_little() -> None:
    """0 of 3 expected happens once in 20 times; a rate that is known within 10 % moves by 3 %."""
    took = evidence.taken(counted(0, 3), one(0), one(0.01), one(0))
    assert float(took.shift) == pytest.approx(-0.03, abs=0.002)
    told = evidence.surprise(counted(0, 3), one(0), one(0.01), one(0))
    assert -2.5 < float(told.z) < -1.6
    # 1 of 0.1 expected: once in 10.
    assert 1.2 < float(evidence.surprise(counted(1, 0.1), one(0), one(0.01), one(0)).z) < 2.3


@pytest.mark.parametrize("expected", [3.0, 10.0, 300.0])
def test_residuals_of_counts_have_the_normals_tails(expected: float) -> None:
    """A negative binomial's, both ways, to 4 deviations."""
    deviation = 0.2
    a = 1 / deviation**2 + 0.5
    mu = float(evidence.surprise(counted(0, expected), one(0), one(deviation**2), one(0)).expected)
    law = stats.nbinom(a, a / (a + mu))
    assert mu == pytest.approx(expected * np.exp(deviation**2 / 2), rel=0.01)
    for p in (1e-4, 1e-2, 0.5, 0.99, 0.9999):
        events = float(law.ppf(p))
        middle = law.cdf(events) - 0.5 * law.pmf(events)
        told = float(evidence.surprise(counted(events, expected), one(0), one(deviation**2), one(0)).z)
        assert told == pytest.approx(stats.norm.ppf(middle), abs=0.4), p


def test_series_are_what_they_are_series_of() -> None:
    x = torch.logspace(-1.3, 5, 200, dtype=torch.float64)
    np.testing.assert_allclose(evidence._trigamma(x), special.polygamma(1, x.numpy()), rtol=1e-3)
    np.testing.assert_allclose(evidence._digamma(x), special.digamma(x.numpy()), atol=2e-4)
    want = special.gammaln(x.numpy()) - 0.5 * np.log(2 * np.pi)
    np.testing.assert_allclose(evidence._log_gamma(x), want, atol=5e-5, rtol=1e-9)


def test_a_drift_seen_through_counts_follows_the_exact_posterior() -> None:
    """AR(1) log-rate seen through clicks: the whole filter, where levels cannot move, against one on a grid."""
    rng = np.random.default_rng(0)
    rho, sigma, usual_clicks = 0.93, 0.3, 80.0
    market = _single(ctr_drift=sigma, ctr_persistence=rho)
    usual, law = Usual.of(market), Law(moved=1e-9, size=1e-3, walk=0)
    state = start(usual, law)
    grid = np.linspace(-1.8, 1.8, 721)
    step = np.exp(-0.5 * ((grid[:, None] - rho * grid) / (sigma * np.sqrt(1 - rho**2))) ** 2)
    step /= step.sum(0)
    belief = np.exp(-0.5 * (grid / sigma) ** 2)
    belief /= belief.sum()
    x, gaps, widths = sigma * rng.standard_normal(), [], []
    for _ in range(150):
        rate = usual_clicks * np.exp(grid - 0.5 * sigma**2)
        clicks = rng.poisson(usual_clicks * np.exp(x - 0.5 * sigma**2))
        belief = belief * np.exp(clicks * np.log(rate) - rate - (clicks * np.log(rate) - rate).max())
        belief /= belief.sum()
        # So many impressions that clicks are Poisson, at a win rate that saturates nothing.
        state, _ = learn(usual, law, state, _row(impressions=8e6, requests=8e9, clicks=clicks))
        mean = (belief * grid).sum()
        width = np.sqrt((belief * (grid - mean) ** 2).sum())
        q = QUANTITIES.index("ctr")
        gaps.append((float(state.drift_QHCP[q, 0]) - mean) / width)
        widths.append(float(state.drift2_QHCP[q, 0]) ** 0.5 / width)
        belief = step @ belief
        state = pass_cycle(usual, law, state)
        x = rho * x + sigma * np.sqrt(1 - rho**2) * rng.standard_normal()
    assert np.abs(np.mean(gaps)) < 0.1
    assert np.sqrt(np.mean(np.square(gaps))) < 0.15
    assert np.mean(widths) == pytest.approx(1, abs=0.05)


def _single(**change: float) -> Market:
    """One campaign on one platform; 1e-5 clicks an impression; errors as good as none."""
    market = make_market(platforms=2, campaigns=1)
    value = {name: table[:, :1] for name, table in market.value.items()} | {"ctr": torch.full((1, 1), 1e-5)}
    value |= {name: torch.full((1, 1), x) for name, x in change.items()}
    tables = ("price", "price_law", "volume_week", "response_week", "delay")
    return replace(
        market,
        platforms=("p0",),
        value=value,
        error={n: 1e-6 * table.abs() for n, table in value.items()},
        context_rate=market.context_rate[..., :1],
        **{name: getattr(market, name)[:, :1] for name in tables},
    )


def _row(**told: Any) -> Row:
    unknown = dict.fromkeys(("spend", "requests", "impressions", "clicks", "conversions", "revenue"), np.nan)
    amounts = {f"{name}_CP": one(float(x)) for name, x in (unknown | told).items()}
    return Row(weekday_C=torch.tensor([0]), part_C=torch.ones(1).double(), told_CP=one(1.0), **amounts)


def test_the_price_is_read_at_the_win_rate_that_was_seen() -> None:
    """Twice the usual price of what was won; half of the requests cost less a piece than all of them."""
    market = _single()
    usual = Usual.of(market)
    price = market.prices(torch.tensor([0]))
    for win in (0.2, 0.5, 0.9):
        each = float(price.spend(torch.tensor([[win]])) / win)
        row = _row(impressions=win * 1e4, requests=1e4, spend=2 * each * win * 1e4)
        rate, unsure = evidence.win_rate(usual, row, one(0), one(0))
        assert float(rate) == pytest.approx(win)
        assert float(unsure) == 0
        seen = evidence.price_seen(usual, row._replace(told_CP=one(1e9)), rate, unsure)
        assert float(seen.events) == pytest.approx(np.log(2), abs=1e-4)
    untold = _row(impressions=50, spend=10)
    _, unsure = evidence.win_rate(usual, untold, one(0.0), one(0.3))
    expected = float(usual.requests_7CP[0])
    assert float(unsure) == pytest.approx(0.05**2 + 0.3 + 1 / expected, rel=1e-6)


def test_values_are_gamma_sums() -> None:
    """ln(revenue / conversion) over the usual has mean 0 and the noise that it tells."""
    market = _single(value_cv=0.8)
    usual, rng = Usual.of(market), np.random.default_rng(1)
    value = float(market.value["value"])
    for conversions in (1, 4, 40):
        logs = []
        for revenue in rng.gamma(conversions / 0.64, 0.64 * value, 4000):
            seen = evidence.value_seen(usual, _row(conversions=conversions, revenue=revenue))
            logs.append(float(seen.events))
        assert seen.kind == EARNED
        assert np.mean(logs) == pytest.approx(0, abs=4 * np.std(logs) / 4000**0.5)
        assert np.var(logs) == pytest.approx(float(seen.noise), rel=0.1)


def test_conversions_are_due_by_the_delays_law() -> None:
    usual = Usual.of(_single(cvr=0.2, cvr_drift=0.3, cvr_persistence=0.5))
    clicks_DCP = torch.tensor([100.0, 50.0, 10.0], dtype=torch.float64)[:, None, None]
    seen = evidence.conversions_seen(usual, _row(conversions=9), clicks_DCP)
    due = np.array([60, 15, 1])
    assert float(seen.usual) == pytest.approx(0.2 * due.sum(), rel=1e-6)
    weight = due / due.sum()
    assert float(seen.reach) == pytest.approx((weight * 0.5 ** np.arange(3)).sum(), rel=1e-6)
    lag = np.abs(np.subtract.outer(np.arange(3), np.arange(3)))
    square = weight @ 0.5**lag @ weight
    assert float(seen.noise) == pytest.approx(0.09 * (square - float(seen.reach) ** 2), rel=1e-5)
    # Binomial thinning: variance sum_d due_d p (1 - delay_d p).
    thin = 0.2 * (weight * np.array([0.6, 0.3, 0.1])).sum()
    assert float(seen.thin) == pytest.approx(thin, rel=1e-6)
    guessed = evidence.conversions_seen(
        usual, _row(conversions=9), torch.where(clicks_DCP == 50, torch.nan, clicks_DCP)
    )
    assert float(guessed.usual) == pytest.approx(0.2 * (60 + 0.3 * 55 + 1), rel=1e-6)
    assert float(guessed.noise) > (0.3 * 55 / 77.5) ** 2
