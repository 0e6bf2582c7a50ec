"""The fit recovers what was planted: truncated prices, volume, saturation, drift, delays."""

import numpy as np
import pytest

from crossmix.market.fit import estimators
from crossmix.market.fit.supply import cost_curve, estimate, product_limit


def _auctions(seed: int = 0, cycles: int = 40, requests: int = 500, drift: float = 0.2) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    level = np.exp(drift * rng.standard_normal(cycles))
    cycle = np.repeat(np.arange(cycles), requests)
    price = np.exp(1.2 + 0.5 * rng.standard_normal(len(cycle))) * level[cycle]
    bid = np.exp(1.1 + 0.5 * rng.standard_normal(len(cycle)))
    won = price < bid
    return {"price": price[won], "bid": bid[won], "cycle": cycle[won], "level": level}


def test_product_limit_undoes_the_truncation() -> None:
    for level, z in ((0.25, -0.6745), (0.5, 0.0), (0.75, 0.6745)):
        found = []
        for seed in range(5):
            data = _auctions(seed, cycles=1, requests=40_000, drift=0.0)
            points, law = product_limit(data["price"], data["bid"])
            found.append(np.interp(level, law, points))
        assert np.mean(found) == pytest.approx(np.exp(1.2 + 0.5 * z), rel=0.02)
    # What was paid is far from it: the winners' median is lower.
    assert np.median(data["price"]) < 0.85 * np.exp(1.2)


def test_supply_recovers_volume_level_and_bid_dispersion() -> None:
    data = _auctions()
    fit = np.ones(len(data["price"]), bool)
    supply = estimate(
        data["price"], data["bid"], data["cycle"], fit, 40, fit_cycles=40, quantiles=64, assumed_win_rate=0.3
    )
    assert supply.requests.mean() == pytest.approx(500, rel=0.05)
    error = np.log(supply.price_multiplier) - np.log(data["level"] / data["level"].mean())
    assert np.sqrt((error**2).mean()) < 1.3 * supply.price_multiplier_error.mean()
    assert np.corrcoef(np.log(supply.price_multiplier), np.log(data["level"]))[0, 1] > 0.93
    assert supply.dispersion == pytest.approx(0.5, abs=0.05)
    assert not supply.approximated


def test_without_bids_volume_is_assumed_and_says_so() -> None:
    data = _auctions(drift=0.0)
    supply = estimate(
        data["price"], None, data["cycle"], np.ones(len(data["price"]), bool), 40,
        fit_cycles=40, quantiles=64, assumed_win_rate=0.25,
    )  # fmt: skip
    assert supply.approximated
    assert supply.requests.sum() == pytest.approx(4 * len(data["price"]))
    # Up to the assumed win rate, wins cost what was paid; beyond it, more.
    grid = np.linspace(0, 0.25, 501)
    won = np.interp(grid, np.linspace(0, 1, len(supply.curve)), supply.curve).mean()
    assert won == pytest.approx(data["price"].mean(), rel=0.02)
    assert supply.mean_price > 1.2 * data["price"].mean()


def test_cost_curve_is_what_noisy_bids_pay() -> None:
    rng = np.random.default_rng(0)
    levels = np.linspace(0, 1, 129).clip(0.002, 0.998)
    from scipy.special import ndtri

    knots = np.exp(1.2 + 0.5 * ndtri(levels))
    curve = cost_curve(knots, 0.4)
    price = np.interp(rng.random(400_000), np.linspace(0, 1, 129), knots)
    ratio = price / np.exp(0.4 * rng.standard_normal(len(price)))
    order = np.argsort(ratio)
    for w in (0.1, 0.3, 0.6):
        paid = price[order[: int(w * len(price))]].mean()
        grid = np.linspace(0, w, 2001)
        modelled = np.interp(grid, np.linspace(0, 1, 129), curve).mean()
        assert modelled == pytest.approx(paid, rel=0.02)
    assert (np.diff(curve) >= 0).all()


def test_rates_shrink_where_there_is_little_data() -> None:
    hits, trials = np.array([[30.0, 0.0, 900.0, 100.0]]), np.array([[300.0, 2.0, 3_000.0, 2_000.0]])
    rate, error = estimators.rate(hits, trials)
    assert 0.1 < rate[0, 1] < 0.3  # two trials without a hit: near the mean of all, not at zero
    assert rate[0, 2] == pytest.approx(0.3, abs=0.01)
    assert rate[0, 3] == pytest.approx(0.05, abs=0.01)
    assert error[0, 1] > 3 * error[0, 2]


def test_drift_recovers_an_ar1_under_sampling_noise() -> None:
    rng = np.random.default_rng(1)
    times, cells, rho, sigma, noise = 60, (4, 25), 0.9, 0.3, 0.2
    z = sigma * rng.standard_normal(cells)
    series = []
    for _ in range(times):
        series.append(z + noise * rng.standard_normal(cells))
        z = rho * z + sigma * np.sqrt(1 - rho**2) * rng.standard_normal(cells)
    y = np.stack(series)
    deviation, persistence = estimators.drift(y, np.full_like(y, noise**2), 0.0)
    assert persistence[0, 0] == pytest.approx(rho, abs=0.06)
    assert deviation.mean() == pytest.approx(sigma, rel=0.25)
    nothing, _ = estimators.drift(noise * rng.standard_normal(y.shape), np.full_like(y, noise**2), 0.0)
    assert nothing.mean() < 0.06


def test_the_path_explains_all_hits() -> None:
    rng = np.random.default_rng(2)
    trials = np.full((30, 2, 3), 400.0)
    multiplier = np.exp(0.3 * np.sin(np.arange(30) / 4))[:, None, None]
    hits = rng.poisson(0.1 * multiplier * trials).astype(float)
    shape = (2, 3)
    smooth = estimators.path(hits, trials, np.full(shape, 0.1), np.full(shape, 0.25), np.full(shape, 0.9))
    np.testing.assert_allclose((smooth * trials * 0.1).sum(0), hits.sum(0), rtol=1e-9)
    assert np.corrcoef(smooth[:, 0, 0], multiplier[:, 0, 0])[0, 1] > 0.9
