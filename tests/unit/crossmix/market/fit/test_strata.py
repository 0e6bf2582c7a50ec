"""Task strata: planted differences of periods and regions are recovered, none made up."""

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from crossmix.config import laptop
from crossmix.market.fit import regions, strata
from crossmix.market.fit.evidence import supplies as supplies_of
from crossmix.market.fit.fit import estimate as fit_market
from crossmix.market.fit.log import Log
from crossmix.market.fit.strata import QUANTITIES, Cubes, Strata
from crossmix.market.model import Market
from crossmix.schema import Meta

K, R, C, P = 7, 4, 2, 8
CV = np.full((C, P), 0.4)
SIZE = np.array([0.4, 0.3, 0.2, 0.1])


def _cubes(rng: np.random.Generator, multiplier: dict[str, np.ndarray], volume: float = 8_000) -> tuple[Cubes, Cubes]:
    """A log's counts (whole (K, C, P), regional (K, R, C, P)) under multipliers of shape (K, R, C, P)."""
    base = SIZE[:, None, None] * volume * rng.uniform(0.3, 1.5, (C, P))
    requests = rng.poisson(base * multiplier["requests"]).astype(float)
    exposed = np.floor(0.3 * requests)
    clicks = rng.binomial(exposed.astype(int), 0.12 * multiplier["ctr"]).astype(float)
    conversions = rng.binomial(clicks.astype(int), np.minimum(0.3 * multiplier["cvr"], 1)).astype(float)
    scale = 50 * 0.4**2 * multiplier["value"]
    revenue = np.where(conversions > 0, rng.gamma(np.maximum(conversions, 1e-9) / 0.4**2, scale), 0.0)
    error = 0.5 / np.sqrt(np.maximum(exposed, 1))
    level = multiplier["level"] * np.exp(error * rng.standard_normal(error.shape))
    usual = np.broadcast_to(base, requests.shape).copy()

    def cubes(total: Any, level: np.ndarray, error: np.ndarray) -> Cubes:
        sums = [total(cube) for cube in (clicks, exposed, conversions, revenue, requests)]
        return Cubes(*sums, np.zeros_like(sums[0]), total(usual), level, error)

    precision = (1 / error**2).sum(1)
    whole = cubes(lambda cube: cube.sum(1), (level / error**2).sum(1) / precision, precision**-0.5)
    return whole, cubes(lambda cube: cube, level, error)


def _none() -> dict[str, np.ndarray]:
    return {name: np.ones((K, R, C, P)) for name in QUANTITIES}


def _estimate(rng: np.random.Generator, multiplier: dict[str, np.ndarray], volume: float = 8_000) -> Strata:
    whole, regional = _cubes(rng, multiplier, volume)
    return strata.estimate(tuple(f"t{k}" for k in range(K)), whole, CV, 0.0, ("n", "s", "e", "w"), regional)


def test_planted_differences_are_recovered_within_their_errors() -> None:
    """All three parts at once, of all five quantities: z-scores of the multipliers are about N(0, 1)."""
    rng = np.random.default_rng(0)
    planted = {
        name: np.exp(
            deviation * rng.standard_normal((K, 1, C, P))
            + deviation * rng.standard_normal((1, R, 1, P))
            + 0.7 * deviation * rng.standard_normal((K, R, 1, P))
        )
        for name, deviation in zip(QUANTITIES, (0.1, 0.1, 0.12, 0.12, 0.1), strict=True)
    }
    found = _estimate(rng, planted, 40_000)
    for name in QUANTITIES:
        logs, errors = np.zeros((2, K, R, C, P))
        for k in range(K):
            for r in range(R):
                multiplier, errors[k, r] = found.multipliers(k, r)[name]
                logs[k, r] = np.log(multiplier)
        truth = np.log(planted[name])
        apart = (logs - logs.mean((0, 1))) - (truth - truth.mean((0, 1)))
        # The product of three parts is right to second order in effects of 0.1: 0.005.
        z = apart / np.hypot(errors, 0.005)
        # 112 + 32 + 224 effects lie behind them: 4 / sqrt(2 x 112) either way.
        assert 0.73 < np.sqrt(np.mean(z**2)) < 1.27, name
        assert np.corrcoef((logs - logs.mean((0, 1))).ravel(), (truth - truth.mean((0, 1))).ravel())[0, 1] > 0.85, name


def test_the_spread_of_the_true_effects_is_found() -> None:
    """10 logs for each part: its spread, and nothing in the others (40 tests at 1 / 300: 3 alarms have 0.03 %)."""
    rng = np.random.default_rng(1)
    alarms = 0
    for part, shape in {"period": (K, 1, C, P), "region": (1, R, 1, P), "cell": (K, R, 1, P)}.items():
        spreads = []
        for _ in range(10):
            planted = _none()
            planted["ctr"] = np.exp(0.3 * rng.standard_normal(shape)) * np.ones((K, R, C, P))
            spreads.append(_estimate(rng, planted).effects["ctr"].spread)
        # The deviation of n normals is known to 1 / sqrt(2 n); 4 of those. Cells lose some to the other two parts.
        allowed = 4 * 0.3 / np.sqrt(2 * 10 * np.prod(shape)) + 0.025
        assert np.mean([spread[part] for spread in spreads]) == pytest.approx(0.3, abs=allowed)
        # Cells of their own average out, over regions and periods, to some of both.
        others = () if part == "cell" else {"period", "region", "cell"} - {part}
        alarms += sum(spread[other] > 0 for spread in spreads for other in others)
    assert alarms < 3


def test_where_nothing_differs_every_multiplier_is_one() -> None:
    """60 logs x 15 parts, each tested at 1 / 300: 3 false alarms expected; 10 or more have a chance of 0.1 %."""
    alarms = 0
    for seed in range(60):
        found = _estimate(np.random.default_rng(100 + seed), _none())
        alarms += sum(value > 0 for effect in found.effects.values() for value in effect.spread.values())
        largest = max(
            np.abs(np.log(found.multipliers(k, r)[n][0])).max() for n in QUANTITIES for k in (0, 3) for r in (0, 3)
        )
        assert largest < 0.25  # where a part is a false alarm, it is small beside its error (up to 0.3 here)
    assert alarms < 10


def test_sampling_variances_are_what_ratios_scatter() -> None:
    """26,880 ratios of each quantity in 60 logs without differences: squares over variances average 1 to 0.04."""
    scatter: dict[str, list[float]] = {name: [] for name in QUANTITIES}
    for seed in range(60):
        _, regional = _cubes(np.random.default_rng(200 + seed), _none())
        for name, (ratio, variance) in regional.ratios(CV).items():
            # Centring takes one of the K R ratios of a campaign and platform.
            scatter[name].append(float(((ratio - 1) ** 2 / variance).mean()) * K * R / (K * R - 1))
    for name, found in scatter.items():
        assert np.mean(found) == pytest.approx(1.0, abs=0.04), name


@pytest.mark.parametrize("part", ["period", "region"])
def test_a_strong_effect_is_not_taken_for_others(part: str) -> None:
    """Counts scatter less where there are more of them: 20 logs, 40 tests at 1 / 300, 3 alarms have 0.03 %."""
    sign = np.array([1, -1, 1, -1, 1, -1, 1])[:, None, None, None] if part == "period" else np.ones((K, 1, 1, 1))
    if part == "region":
        sign = sign * np.array([1, -1, 1, -1])[:, None, None]
    planted = _none()
    planted["ctr"] = np.exp(0.8 * sign * np.array([1, -1] * (P // 2))) * np.ones((K, R, C, P))
    found = [_estimate(np.random.default_rng(300 + seed), planted).effects["ctr"].spread for seed in range(20)]
    assert all(spread[part] > 0.5 for spread in found)
    others = {"period", "region", "cell"} - {part}
    assert sum(spread[other] > 0 for spread in found for other in others) < 3


def test_a_stratum_without_a_single_event_is_the_base_market() -> None:
    rng = np.random.default_rng(3)
    planted = _none()
    planted["ctr"] = np.exp(0.3 * rng.standard_normal((K, 1, C, P))) * np.ones((K, R, C, P))
    whole, regional = _cubes(rng, planted)
    for cubes in (whole, regional):
        cubes.price_multiplier_error[..., 0] = np.inf
        cubes.price_multiplier[..., 0] = 1.0
        for name in ("clicks", "exposed", "conversions", "revenue", "requests", "requests_variance", "usual"):
            getattr(cubes, name)[..., 0] = 0.0
    found = strata.estimate(tuple("abcdefg"), whole, CV, 0.0, ("n", "s", "e", "w"), regional)
    for name in QUANTITIES:
        multiplier, error = found.multipliers(2, 1)[name]
        assert np.isfinite(multiplier).all()
        assert np.isfinite(error).all()
        np.testing.assert_allclose(multiplier[:, 0], 1.0, atol=1e-4)


def test_without_regions_there_are_periods_and_platforms() -> None:
    rng = np.random.default_rng(4)
    planted = _none()
    planted["level"] = np.exp(0.3 * rng.standard_normal((K, 1, C, P))) * np.ones((K, R, C, P))
    whole, _ = _cubes(rng, planted)
    found = strata.estimate(tuple("abcdefg"), whole, CV)
    assert found.regions == ()
    assert found.distinct_regions() == []
    again = Strata.of(json.loads(json.dumps(found.plain(), allow_nan=False)))
    assert again.effects["level"].cell_KRP.shape == (K, 0, P)
    np.testing.assert_allclose(
        again.multipliers(3, None)["level"][0], found.multipliers(3, None)["level"][0], rtol=1e-5
    )


def test_cycles_are_summed_and_price_multipliers_weighed_into_periods() -> None:
    ones = np.ones((5, 1, 1))
    error = np.array([0.1, 0.2, 0.1, 0.1, np.inf]).reshape(5, 1, 1)
    level = np.array([1.0, 2.0, 3.0, 1.0, 9.0]).reshape(5, 1, 1)
    cubes = Cubes(ones, ones, ones, ones, ones, ones, ones, level, error)
    period = strata.by_period(cubes, np.array([0, 0, 1, 1, 1]))
    np.testing.assert_array_equal(period.clicks.ravel(), [2, 3])
    np.testing.assert_allclose(period.price_multiplier.ravel(), [(100 * 1 + 25 * 2) / 125, 2.0])
    np.testing.assert_allclose(period.price_multiplier_error.ravel(), [125**-0.5, 200**-0.5])


@pytest.mark.parametrize(
    ("hours", "cycles", "count", "first", "last"),
    [
        (24, 49, 7, "2025-01-06/2025-01-12", "2025-02-17/2025-02-23"),
        (24, 33, 4, "2025-01-06/2025-01-12", "2025-01-27/2025-02-07"),
        (24, 10, 8, "2025-01-06/2025-01-07", "2025-01-15/2025-01-15"),
        (1, 33, 8, "2025-01-06T00/2025-01-06T04", "2025-01-07T05/2025-01-07T08"),
        (168, 5, 5, "2025-01-06/2025-01-12", "2025-02-03/2025-02-09"),
    ],
)
def test_periods_are_whole_weeks_where_there_are_enough(
    hours: int, cycles: int, count: int, first: str, last: str
) -> None:
    names, index = strata.periods(_meta(cycle_hours=hours, cycles=cycles), cycles)
    assert (len(names), names[0], names[-1]) == (count, first, last)
    assert sorted(set(index.tolist())) == list(range(count))
    assert (np.diff(index) >= 0).all()


def _meta(**change: Any) -> Meta:
    meta = Meta(
        source="test", generated=True, currency="USD", platforms=("a", "b", "c"), campaigns=("x",),
        start="2025-01-06T00:00:00+00:00", cycle_hours=24, cycles=28,
        first_cycle={"train": 0, "validation": 28, "test": 28}, modalities=(), provenance={}, weekday_pattern=True,
        digest="test",
    )  # fmt: skip
    return replace(meta, **change)


REGIONS = ("north", "south", "east")


def _log(seed: int, *, differ: bool, named: bool = True, loyal: float = 0.0) -> Log:
    """28 days of auctions on three platforms: prices LN, bids with noise, wins kept.

    `differ`: north clicks 1.5 times as often on `a`; south is 1.4 times as dear on `b`; half of east's users never
    show up on `c`; in the third week `a` is 1.3 times as dear. `loyal`: spread of users' log click rates.
    """
    rng = np.random.default_rng(seed)
    n = 28 * 3 * 1_500
    cycle, p = rng.integers(0, 28, n), rng.integers(0, 3, n)
    # Few users, some of them much more active than others.
    user = rng.choice(600, n, p=(activity := rng.gamma(0.5, size=600) + 0.01) / activity.sum())
    region = user % 3
    price = np.exp(1.0 + 0.5 * rng.standard_normal(n))
    ctr = 0.12 * np.exp(loyal * rng.standard_normal((600, 3)) - 0.5 * loyal**2)[user, p]
    keep = np.ones(n, bool)
    if differ:
        price *= np.where((region == 1) & (p == 1), 1.4, 1) * np.where((cycle // 7 == 2) & (p == 0), 1.3, 1)
        ctr = ctr * np.where((region == 0) & (p == 0), 1.5, 1)
        keep = (region != 2) | (p != 2) | (rng.random(n) < 0.5)
    bid = np.exp(0.9 + 0.4 * rng.standard_normal(n))
    won = keep & (price < bid)
    clicked = rng.random(n) < ctr
    converted = clicked & (rng.random(n) < 0.3)
    frame = pd.DataFrame(
        {
            "user": user,
            "region": pd.Categorical(np.array(REGIONS)[region] if named else [regions.UNKNOWN] * n),
            "bid_price": bid,
            "price_paid": price,
            "clicked": clicked,
            "converted": converted,
            "revenue": np.where(converted, 40.0, 0.0),
            "cycle": cycle,
            "split": "train",
            "holdout": False,
            "c": 0,
            "p": p,
            "arrival": cycle,
        }
    )[won].reset_index(drop=True)  # fmt: skip
    return Log(_meta(), frame)


def _fitted(log: Log) -> Market:
    plans = pd.DataFrame(
        [("x", platform, log.meta.start[:10], 500.0, np.nan, np.nan) for platform in log.meta.platforms],
        columns=["campaign_id", "platform", "date", "planned_budget", "min", "max"],
    )
    return fit_market(laptop(), SimpleNamespace(frame=lambda table: plans), log, None)  # type: ignore[arg-type]


def test_a_log_with_planted_differences_gives_their_strata() -> None:
    market = _fitted(_log(0, differ=True))
    found = Strata.of(market.strata)
    assert set(found.regions) == set(REGIONS)
    assert len(found.periods) == 4
    north, south, east = (found.regions.index(name) for name in REGIONS)
    a, b, c = (market.platforms.index(name) for name in ("a", "b", "c"))

    def contrast(name: str, region: int, platform: int) -> tuple[float, float]:
        """Region against the mean of the other two, ln, and its error."""
        effect = found.effects[name]
        others = [r for r in range(3) if r != region]
        value = effect.region_RP[region, platform] - effect.region_RP[others, platform].mean()
        errors = effect.region_error_RP[:, platform] ** 2
        return float(value), float(np.sqrt(errors[region] + errors[others].sum() / 4))

    for name, region, platform, ratio in (("ctr", north, a, 1.5), ("level", south, b, 1.4), ("requests", east, c, 0.5)):
        value, error = contrast(name, region, platform)
        # East's missing requests make its own size smaller, too: its volume elsewhere is up by as much.
        share = np.log(2.5 / 3) if name == "requests" else 0.0
        assert value == pytest.approx(np.log(ratio) - share, abs=3 * error + 0.06), name
        assert abs(value) > 4 * error, name
    week, error = found.effects["level"].period_KCP[:, 0, a], found.effects["level"].period_error_KCP[:, 0, a]
    assert week[2] - week[[0, 1, 3]].mean() == pytest.approx(np.log(1.3), abs=3 * float(error.max()) + 0.02)
    assert np.abs(found.effects["cvr"].region_RP).max() < 0.05


@pytest.mark.slow
def test_users_who_come_with_all_their_impressions_are_no_region() -> None:
    """600 users of very different click rates: regions differ by whom they happen to have, and by nothing else."""
    alarms, naive = 0, 0
    for seed in range(4):
        log = _log(10 + seed, differ=False, loyal=1.0)
        supplies = supplies_of(laptop(), log)
        _, period = strata.periods(log.meta, 28)
        everyone = np.ones(len(log.frame), bool)
        names, cubes = regions.by_region(laptop(), log, supplies, period, everyone.astype(float).__getitem__, everyone)
        assert cubes is not None
        whole = Cubes(*(np.ones((4, 1, 3)) for _ in range(8)), np.full((4, 1, 3), np.inf))
        for design in (cubes.design, {}):
            found = strata.estimate(tuple("abcd"), whole, CV[:1, :3], 0.0, names, replace(cubes, design=design))
            wrong = sum(effect.spread["region"] > 0 for effect in found.effects.values())
            alarms, naive = alarms + wrong * bool(design), naive + wrong * (not design)
    # 20 tests at 1 / 300: two or more alarms have a chance of 0.2 %. Impressions taken as independent raise many.
    assert alarms < 2
    assert naive > 3


def test_the_requests_of_a_region_know_that_its_price_multiplier_is_estimated() -> None:
    """Ratios of requests between regions of four logs without differences scatter as their variances say.

    96 degrees of freedom: a mean square within 1 +- 4 sqrt(2 / 96). Without its part it is about twice that.
    """
    total = 0.0
    for seed in range(4):
        log = _log(20 + seed, differ=False)
        supplies = supplies_of(laptop(), log)
        everyone = np.ones(len(log.frame), bool)
        _, cubes = regions.by_region(
            laptop(), log, supplies, strata.periods(log.meta, 28)[1], everyone.astype(float).__getitem__, everyone
        )
        assert cubes is not None
        # Users are drawn once a log: their own share of each region is its size.
        ratio, variance = cubes.ratios(CV[:1, :3])["requests"]
        ratio = ratio / ((ratio / variance).sum(1, keepdims=True) / (1 / variance).sum(1, keepdims=True))
        total += float(((ratio - 1) ** 2 / variance).sum())
    assert total / 96 == pytest.approx(1.0, abs=4 * (2 / 96) ** 0.5)


def test_a_log_without_regions_has_periods_only() -> None:
    market = _fitted(_log(1, differ=True, named=False))
    assert market.strata["regions"] == []
    assert Strata.of(market.strata).effects["level"].spread["period"] > 0.03
