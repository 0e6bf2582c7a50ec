"""Fidelity's pieces against closed forms and independent computations."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.special import ndtr
from sklearn.metrics import roc_auc_score

from crossmix.config import laptop
from crossmix.evaluate.fidelity import impressions, two_sample
from crossmix.evaluate.fidelity.cycles import (
    FEATURES,
    Cycles,
    drawn,
    held_out,
    held_share,
    observed,
    price_deviation,
)
from crossmix.evaluate.fidelity.divergence import (
    Divergence,
    compare,
    conditional,
    divergence,
    divergences,
    from_uniform,
)
from crossmix.evaluate.fidelity.impressions import SUMS, Deviation, fidelity, resampled, user_sums
from crossmix.evaluate.fidelity.period_shift import shift
from crossmix.evaluate.fidelity.two_sample import TwoSample, limit, paired, unpaired
from crossmix.evaluate.gates.fidelity import fidelity_gates, indistinguishable, likeness
from crossmix.evaluate.gates.verdicts import bounds
from crossmix.market.fit.log import TOTALS, Log
from crossmix.market.model import Market
from crossmix.market.replay_splits import retrace
from crossmix.schema import Meta
from tests.support.markets import make_market

TIMES = 30


def walked(times: int = TIMES) -> tuple[Market, np.ndarray]:
    """A market with the cycles that it was fitted on, and their plan (T, C, P)."""
    market = make_market(platforms=3, campaigns=2)
    flat = torch.ones(times, 2, 3)
    path = {"requests": 2_000 * flat, "level": flat, "ctr": flat, "cvr": flat}
    planned = (market.budget[:, None] * market.static).double().numpy() * 3
    return replace(market, path=path), np.broadcast_to(planned, (times, 2, 3)).copy()


def toy_log(rows: int = 6_000, seed: int = 0) -> Log:
    """Impressions of two campaigns on three platforms over 40 cycles; the last ten are the test period, and cost 20 %
    more there.
    """
    rng = np.random.default_rng(seed)
    cycle = rng.integers(40, size=rows)
    c, p = rng.integers(2, size=rows), rng.integers(3, size=rows)
    clicked = rng.random(rows) < 0.3
    converted = clicked & (rng.random(rows) < 0.5)
    split = np.select([cycle < 28, cycle < 30], ["train", "validation"], "test")
    user = rng.integers(1_500, size=rows)
    frame = pd.DataFrame(
        {
            "user": user,
            "c": c,
            "p": p,
            "cycle": cycle,
            "split": split,
            "holdout": user % 2 == 0,
            "clicked": clicked,
            "converted": converted,
            "revenue": np.where(converted, 5.0, 0.0),
            "bid_price": np.nan,
            "price_paid": np.exp(0.3 * rng.standard_normal(rows)) * np.where(split == "test", 1.2, 1.0),
            "arrival": cycle,
        }
    )
    meta = Meta("toy", True, "USD", ("x", "y", "z"), ("a", "b"), "2025-01-06T00:00:00+00:00", 24, 40,
                {"train": 0, "validation": 28, "test": 30}, (), {}, True, "toy")  # fmt: skip
    return Log(meta, frame)


def test_steps_are_logs_of_ratios() -> None:
    def series(*values: float) -> np.ndarray:
        return np.array(values)[:, None, None]

    cycles = Cycles(
        impressions=series(100, 200, 0),
        clicks=series(10, 30, 0),
        conversions=series(2, 3, 0),
        revenue=series(8, 24, 0),
        spend=series(50, 150, 0),
        planned=series(100, 100, 100),
    )
    steps = {name: values.ravel() for name, values in cycles.steps().items()}
    np.testing.assert_allclose(steps["ctr"][0], np.log(0.15 / 0.1))
    np.testing.assert_allclose(steps["cvr"][0], np.log(0.1 / 0.2))
    np.testing.assert_allclose(steps["roi"][0], np.log(3))
    np.testing.assert_allclose(steps["spend"][0], np.log(3))
    assert all(np.isnan(values[1]) for values in steps.values())
    features = dict(zip(FEATURES, cycles.features()[2, 0, 0], strict=True))
    assert np.isnan(features["price"])
    assert np.isnan(features["spend"])
    assert features["impressions"] == pytest.approx(np.log(0.5))
    assert features["roi"] == 0


def test_thinning_keeps_the_share_and_scatters_as_a_sample_does() -> None:
    """Means by the share; the mean price of the part scatters around the whole's by s sqrt((1 - w/W) / w)."""
    market, planned = walked(400)
    share = np.full((2, 3), 0.4)
    part, whole = (drawn(market, planned, s, 3, plan_is_spend=False) for s in (share, np.ones((2, 3))))
    for name in SUMS:
        ratio = getattr(part, name).sum(0) / getattr(whole, name).sum(0)
        # Five standard errors of a thinned count; money scatters with the counts behind it, by (1 + 0.4^2) at most.
        count = whole.conversions if name in {"conversions", "revenue"} else whole.clicks
        error = np.sqrt(0.6 / 0.4 * 1.16 / count.sum(0))
        assert (np.abs(ratio / 0.4 - 1) < 5 * error).all(), name
    # Impressions are Binomial given the whole, clicks among them too.
    z = (part.impressions - 0.4 * whole.impressions) / np.sqrt(0.24 * whole.impressions)
    assert z.std() == pytest.approx(1, abs=0.05)
    assert ((part.clicks - 0.4 * whole.clicks) / np.sqrt(0.24 * whole.clicks)).std() == pytest.approx(1, abs=0.05)
    assert np.corrcoef(z.ravel(), (part.clicks - 0.4 * whole.clicks).ravel())[0, 1] > 0.2
    gap = part.spend / part.impressions - whole.spend / whole.impressions
    expected = price_deviation(market, planned) * np.sqrt(1 / part.impressions - 1 / whole.impressions)
    assert (gap / expected).std() == pytest.approx(1, abs=0.05)
    # Without thinning nothing is added to the draw.
    outcome = retrace(market, planned, torch.Generator().manual_seed(3))
    np.testing.assert_allclose(whole.spend.ravel(), outcome.spend.numpy().ravel(), rtol=1e-5)
    np.testing.assert_allclose(whole.revenue.ravel(), outcome.revenue.numpy().ravel(), rtol=1e-5)


def test_price_deviation_is_that_of_prices_below_the_bid() -> None:
    market, planned = walked(1)
    found = price_deviation(market, planned)
    price = market.prices(torch.arange(2))
    rng = np.random.default_rng(0)
    for c, p in ((0, 0), (1, 2)):
        knots = market.price[c, p].double().numpy()
        drawn_price = np.sort(np.interp(rng.random(400_000), np.linspace(0, 1, len(knots)), knots))
        paid = np.cumsum(drawn_price) / len(drawn_price) * 2_000
        won = drawn_price[: np.searchsorted(paid, planned[0, c, p])]
        assert found[0, c, p] == pytest.approx(won.std(), rel=0.02)
    assert price.mean().shape == (2, 3)


def test_divergence_of_normals_is_half_the_squared_shift() -> None:
    rng = np.random.default_rng(0)
    real = rng.normal(size=100_000)
    for shifted in (0.2, 0.4):
        found = divergence(real, rng.normal(shifted, 1, 100_000))
        # 20 bins lose a little of it.
        assert 0.85 * shifted**2 / 2 < found < shifted**2 / 2 + 0.001
    assert divergence(real, rng.normal(size=100_000)) < 0.001
    assert np.isnan(divergence(real[:10], real))


def test_the_noise_of_a_divergence_is_its_99th_percentile() -> None:
    rng = np.random.default_rng(1)
    found = [compare(rng.normal(size=200), rng.normal(size=20_000), 10) for _ in range(400)]
    assert np.mean([item.value < item.noise() for item in found]) > 0.97
    assert np.quantile([item.value for item in found], 0.99) == pytest.approx(found[0].noise(), rel=0.25)
    assert found[0].needed(0.1) == pytest.approx(200 * found[0].noise() / 0.1, abs=1)


def test_parts_do_not_hide_each_other() -> None:
    """Ranks too high on one platform and too low on another are uniform together."""
    rng = np.random.default_rng(2)
    low, high = 0.5 * rng.random(4_000), 0.5 + 0.5 * rng.random(4_000)
    assert from_uniform(np.concatenate([low, high])).value < 0.01
    together = conditional([from_uniform(low), from_uniform(high), from_uniform(low[:3])])
    assert together.value == pytest.approx(np.log(2), abs=0.02)
    assert (together.count, together.bins) == (8_000, 39)
    assert np.isnan(conditional([from_uniform(low[:3])]).value)


def test_auc_and_its_error_against_an_independent_computation() -> None:
    rng = np.random.default_rng(3)
    label = np.repeat([0, 1], [300, 900])
    cycle = np.tile(np.arange(100), 12)
    score = np.round(rng.normal(size=1_200) + 0.5 * label, 1)  # ties
    found, reached = two_sample._judge("x", score, label, cycle, 4)
    assert found.auc == pytest.approx(roc_auc_score(label, score))
    bootstrap = []
    for _ in range(400):
        rows = (rng.integers(100, size=100)[:, None] + 100 * np.arange(12)).ravel()
        bootstrap.append(roc_auc_score(label[rows], score[rows]))
    assert found.error == pytest.approx(np.std(bootstrap), rel=0.12)
    assert reached.mean() == pytest.approx(0.5, abs=0.005)
    assert reached.max() < found.auc


def test_the_limit_is_the_auc_of_normals_at_that_divergence() -> None:
    rng = np.random.default_rng(4)
    shifted = np.sqrt(2 * 0.1)  # KL 0.1
    score = np.concatenate([rng.normal(size=50_000), rng.normal(shifted, 1, 50_000)])
    assert limit(0.1) == pytest.approx(roc_auc_score(np.repeat([0, 1], 50_000), score), abs=0.005)
    assert bounds(laptop())["auc"] == limit(laptop().gates.divergence)


def cubes(seed: int, draws: int = 3, shifted: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Features (T, C, P, F) and draws of them that share each cycle's drift; `shifted`: platform 0 of the draws."""
    rng = np.random.default_rng(seed)
    drift = rng.normal(size=(40, 2, 3, 6))
    real = drift + 0.5 * rng.normal(size=drift.shape)
    model = drift + 0.5 * rng.normal(size=(draws, *drift.shape))
    model[:, :, :, 0, 1] += shifted
    return real, model


@pytest.mark.slow
def test_equal_laws_are_not_told_apart_and_unequal_ones_are() -> None:
    keep = np.ones((40, 2, 3), bool)
    tests = [paired(*cubes(seed), keep, ("x", "y", "z"))["total"] for seed in range(5)]
    assert all(test.auc < limit(0.1) for test in tests)
    assert sum(test.p_value < 0.05 for test in tests) <= 2
    told = paired(*cubes(0, shifted=2.0), keep, ("x", "y", "z"))
    assert told["x"].auc > 0.8 > limit(0.1) > told["y"].auc
    assert told["x"].p_value == pytest.approx(0.001)
    # 2 against a deviation of sqrt(1.25), in all rows of one platform: close to the best any classifier could do.
    assert told["x"].auc == pytest.approx(ndtr(2 / np.sqrt(2 * 1.25)), abs=0.06)
    gate = indistinguishable("g", told["total"], {k: v for k, v in told.items() if k != "total"}, 0.1, True)
    assert gate.verdict == "fail"


def test_too_few_rows_say_so() -> None:
    keep = np.zeros((40, 2, 3), bool)
    keep[:5] = True
    found = paired(*cubes(0), keep, ("x", "y", "z"))["total"]
    assert np.isnan(found.auc)
    gate = indistinguishable("g", found, {}, 0.1, True)
    assert (gate.verdict, gate.value) == ("insufficient data", None)
    assert "needed" in gate.detail


def test_periods_are_told_apart_where_prices_moved() -> None:
    real, _ = cubes(0)
    same = unpaired(real[:25], real[25:], ("x", "y", "z"))["total"]
    moved = real[25:].copy()
    moved[..., 1] += 2
    assert same.auc < 0.62 < 0.8 < unpaired(real[:25], moved, ("x", "y", "z"))["total"].auc
    assert np.isnan(same.p_value)


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        (Divergence(0.09, 500, 10), "pass"),
        (Divergence(0.11, 500, 10), "fail"),
        (Divergence(0.01, 50, 10), "insufficient data"),
        (Divergence(0.31, 50, 10), "insufficient data"),
        (Divergence(0.33, 50, 10), "fail"),
        (Divergence(float("nan"), 3, 10), "insufficient data"),
    ],
)
def test_likeness(found: Divergence, verdict: str) -> None:
    gate = likeness("g", found, 0.1, True)
    assert gate.verdict == verdict
    if verdict == "insufficient data":
        assert "109 needed" in gate.detail


@pytest.mark.parametrize(
    ("auc", "error", "part", "verdict"),
    [
        (0.52, 0.02, None, "pass"),
        (0.60, 0.03, None, "insufficient data"),
        (0.63, 0.03, None, "fail"),
        (0.63, 0.08, None, "insufficient data"),
        (0.80, 0.08, None, "fail"),
        (0.52, 0.02, TwoSample(0.9, 0.03, 0.001, 100, "x"), "fail"),
        (0.52, 0.02, TwoSample(0.7, 0.05, 0.001, 100, "x"), "pass"),
        (0.52, 0.02, TwoSample(float("nan"), float("nan"), float("nan"), 3, "x"), "pass"),
    ],
)
def test_indistinguishable(auc: float, error: float, part: TwoSample | None, verdict: str) -> None:
    parts = {"a": part} if part else {}
    gate = indistinguishable("g", TwoSample(auc, error, 0.2, 400, "x"), parts, 0.1, True)
    assert gate.verdict == verdict
    assert ("told apart on a" in gate.detail) == (part is not None and verdict == "fail")


def test_user_sums_and_their_resamples() -> None:
    log = toy_log()
    keep = held_out(log)
    cell = (log.frame["c"] * 3 + log.frame["p"]).to_numpy(np.int64)
    blocks = list(user_sums(log, keep, cell.__getitem__, 6))
    together, resamples = resampled(iter(blocks))
    frame = log.frame[keep].assign(impressions=1, clicks=lambda x: x["clicked"], conversions=lambda x: x["converted"],
                                   spend=lambda x: x["price_paid"])  # fmt: skip
    by_cell = frame.groupby(["c", "p"])[list(SUMS)].sum().to_numpy(float)
    np.testing.assert_allclose(together, by_cell)
    assert sum(block.shape[0] for block in blocks) == frame["user"].nunique()
    squares = np.sqrt(sum(block.power(2).sum(0) for block in blocks)).reshape(6, 5)
    np.testing.assert_allclose(resamples.std(0), squares, rtol=0.15)


def test_users_resampled_in_blocks_are_those_of_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each user's impressions stand together, in order of the user's number, whatever the order of the log."""
    log = toy_log()
    keep = held_out(log)
    cell = (log.frame["c"] * 3 + log.frame["p"]).to_numpy(np.int64)
    frame = log.frame[keep].assign(shown=1, cell=cell[keep])
    sums = frame.pivot_table(index="user", columns="cell", values=list(TOTALS.values()), aggfunc="sum", fill_value=0)
    expected = np.stack([sums[TOTALS[name]].to_numpy(float) for name in SUMS], -1)
    (whole,) = user_sums(log, keep, cell.__getitem__, 6)
    np.testing.assert_allclose(whole.toarray().reshape(-1, 6, 5), expected)
    monkeypatch.setattr(impressions, "_FEW", 100)
    parts = list(user_sums(log, keep, cell.__getitem__, 6))
    assert [part.shape[0] for part in parts] == [100] * (len(parts) - 1) + [whole.shape[0] - 100 * (len(parts) - 1)]
    np.testing.assert_array_equal(np.concatenate([part.toarray() for part in parts]), whole.toarray())
    alike = [resampled(iter(sums)) for sums in (parts, [whole])]
    np.testing.assert_array_equal(alike[0][0], alike[1][0])
    np.testing.assert_array_equal(alike[0][1], alike[1][1])
    np.testing.assert_allclose(alike[0][0], whole.sum(0).reshape(6, 5))
    monkeypatch.setattr(impressions, "_WIDTH", 7)
    monkeypatch.setattr(impressions, "_SHARE", 33)
    few = resampled(iter([whole]))
    np.testing.assert_array_equal(few[0], alike[0][0])
    np.testing.assert_allclose(few[1], alike[0][1], rtol=1e-6)


def test_no_user_kept_has_no_sums() -> None:
    log = toy_log()
    (nobody,) = user_sums(log, np.zeros(len(log.frame), bool), lambda rows: np.zeros(len(rows), np.int64), 2)
    assert nobody.shape == (1, 10)
    assert nobody.nnz == 0


def test_held_share_is_by_cell() -> None:
    log = toy_log()
    train = log.frame[log.frame["split"] == "train"]
    np.testing.assert_allclose(held_share(log).ravel(), train.groupby(["c", "p"])["holdout"].mean())
    assert observed(log, held_out(log), np.zeros(log.shape), 28).impressions.sum() == train["holdout"].sum()


def test_shift_sees_what_moved_and_only_that() -> None:
    log = toy_log(40_000)
    found = shift(log, np.ones(log.shape), None)
    spend, ctr = found.deviations["total"]["spend"], found.deviations["total"]["ctr"]
    assert spend.low < 0.2 < spend.high
    assert spend.low > 0.1
    assert ctr.low < 0 < ctr.high
    assert found.divergences["total"]["price"].value == pytest.approx((np.log(1.2) / 0.3) ** 2 / 2, rel=0.15)
    assert "click_probability" not in found.divergences["total"]
    assert found.two_sample["total"].auc > 0.9
    plain = found.plain()
    assert plain["two_sample"]["total"]["p_value"] is None
    assert set(plain["divergences"]) == {"total", "x", "y", "z"}


def test_gates_are_named_by_what_they_judge() -> None:
    market, planned = walked(28)
    log = toy_log()
    compared = fidelity(replace(market, platforms=("x", "y", "z")), log, planned, None)
    gates = {gate.name: gate for gate in fidelity_gates(laptop(), compared, plan_from_spend=True)}
    assert gates["fidelity.campaign.spend"].verdict == "not applicable"
    assert {name for name, gate in gates.items() if gate.required} == {
        *(f"fidelity.campaign.{metric}" for metric in ("ctr", "cvr", "roi", "spend")),
        *(f"fidelity.divergence.change.{metric}" for metric in ("ctr", "cvr", "roi", "spend")),
        "fidelity.divergence.price",
        "fidelity.divergence.two_sample",
    }
    for platform in ("x", "y", "z"):
        assert f"fidelity.platform.{platform}.divergence.change.ctr" in gates
        assert f"fidelity.platform.{platform}.divergence.two_sample" in gates
    # A market of other prices and rates, and a log of three impressions a cycle: nothing may be taken for a pass.
    assert gates["fidelity.divergence.two_sample"].verdict == "fail"
    assert set(divergences(market, log, planned, None)) == {"total", *market.platforms}
    assert Deviation.of(0.1, np.full(400, np.nan), 50).low == -np.inf
