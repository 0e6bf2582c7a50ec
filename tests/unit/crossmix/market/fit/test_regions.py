"""What regions delivered: against plain sums over the rows, and the same however few rows are looked at at a time."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from crossmix.config import laptop
from crossmix.market.fit import blocks, evidence, regions, supply
from crossmix.market.fit.log import Log
from crossmix.market.fit.regions import UNKNOWN, by_region
from crossmix.schema import Meta

ROWS, CYCLES, USERS = 9_000, 14, 400
PERIOD_T = np.repeat([0, 1], 7)
NAMES = np.array(["east", UNKNOWN, "north", "south"])


@pytest.fixture
def log() -> Log:
    """Won impressions of two campaigns on two platforms; south has most, and some rows name no region."""
    rng = np.random.default_rng(1)
    user = rng.integers(USERS, size=ROWS)
    region = np.array([0, 1, 2, 3, 3, 2, 3])[user % 7]
    clicked = rng.random(ROWS) < 0.3
    converted = clicked & (rng.random(ROWS) < 0.4)
    price = np.exp(0.4 * rng.standard_normal(ROWS))
    frame = pd.DataFrame(
        {
            "c": rng.integers(2, size=ROWS).astype(np.int32),
            "p": rng.integers(2, size=ROWS).astype(np.int16),
            "cycle": np.sort(rng.integers(CYCLES, size=ROWS)).astype(np.int32),
            "user": user.astype(np.int32),
            "region": pd.Categorical.from_codes(np.where(rng.random(ROWS) < 0.05, -1, region), NAMES),
            "split": "train",
            "holdout": user % 5 == 0,
            "clicked": clicked,
            "converted": converted,
            "revenue": np.where(converted, rng.gamma(3, 5, ROWS), 0.0),
            "price_paid": price,
            "bid_price": price * np.exp(rng.exponential(0.4, ROWS)),
        }
    )
    meta = Meta("toy", True, "USD", ("x", "y"), ("a", "b"), "2025-01-06T00:00:00+00:00", 24, CYCLES,
                {"train": 0, "validation": CYCLES, "test": CYCLES}, (), {}, False, "toy")  # fmt: skip
    return Log(meta, frame)


def found(log: Log) -> tuple[tuple[str, ...], dict[str, np.ndarray], dict[str, float]]:
    """Regions, cubes by name and design; every impression weighs 1 / (1 + its row)."""
    cells = evidence.supplies(laptop(), log)
    weight = 1 / (1 + np.arange(ROWS))
    names, cubes = by_region(laptop(), log, cells, PERIOD_T, weight.__getitem__, log.fitted_rows())
    assert cubes is not None
    arrays = {name: getattr(cubes, name) for name in cubes.__dataclass_fields__ if name != "design"}
    return names, arrays, cubes.design


def test_cubes_are_sums_over_the_kept_rows(log: Log) -> None:
    names, cubes, design = found(log)
    assert names == ("south", "north", "east")
    frame = log.frame.assign(k=PERIOD_T[log.frame["cycle"]], exposed=1 / (1 + np.arange(ROWS)))
    frame = frame[~frame["holdout"] & frame["region"].isin(names)]
    frame["region"] = pd.Categorical(frame["region"], categories=names)
    sums = frame.groupby(["k", "region", "c", "p"], observed=False)[
        ["clicked", "converted", "revenue", "exposed"]
    ].sum()
    for name, column in (
        ("clicks", "clicked"),
        ("conversions", "converted"),
        ("revenue", "revenue"),
        ("exposed", "exposed"),
    ):
        np.testing.assert_allclose(cubes[name].ravel(), sums[column], err_msg=name)
    # Users' values differ by chance alone: what their sums scatter by is that of single impressions, more or less.
    assert all(1 <= value < 1.3 for value in design.values())


def test_requests_differ_among_users_by_their_scatter_over_platforms(log: Log) -> None:
    """Of the kept rows: squared distances of users' impressions from their region's shares, over chance.

    Two users of three are met on one platform alone.
    """
    user = log.frame["user"]
    log = Log(log.meta, log.frame.assign(p=np.where(user % 3 == 0, log.frame["p"], user % 2).astype(np.int16)))
    _, _, design = found(log)
    frame = log.frame[~log.frame["holdout"] & log.frame["region"].isin(["south", "north", "east"])]
    met = frame.groupby(["user", "p"]).size().unstack(fill_value=0)
    home = frame.groupby("user")["region"].last().astype(str)
    share = met.groupby(home).sum()
    share = share.div(share.sum(1), axis=0).loc[home].to_numpy()
    usual = met.sum(1).to_numpy()[:, None] * share
    expected = ((met.to_numpy() - usual) ** 2).sum() / (usual * (1 - share)).sum()
    assert expected > 2
    assert design["requests"] == pytest.approx(expected)


def test_of_two_regions_with_as_many_impressions_the_one_that_comes_first_is_first(log: Log) -> None:
    frame = log.frame.head(6).assign(region=pd.Categorical(["west", "east", "north", "east", "west", "north"]))
    names, number = regions._named(Log(log.meta, frame), np.array([False, True, True, True, True, True]))
    assert names == ("east", "north", "west")  # west's first row is not kept
    assert number.tolist() == [0, 1, 2, -1]


def test_the_requests_variance_adds_what_the_price_multipliers_error_moves_them_by() -> None:
    """A law that is even from 0 to 2: at bid 0.5 over m a share 0.25 / m is won, so that requests go with m."""
    law = np.linspace(0, 2, 101)
    own = supply.Supply(
        knots=law, curve=law, dispersion=1.0, price_multiplier=np.ones(3),
        price_multiplier_error=np.array([0.1, 0.2, 0.3]), requests=np.array([40.0, 80.0, 0.0]),
        requests_error=np.array([3.0, 5.0, 7.0]), mean_price=1.0, approximated=False,
    )  # fmt: skip
    group, bid = np.repeat([0, 1], [10, 20]), np.full(30, 0.5)
    expected = [3.0**2 + (0.1 * 40) ** 2, 5.0**2 + (0.2 * 80) ** 2, 7.0**2]
    np.testing.assert_allclose(regions._requests_variance(own, bid, group), expected)
    np.testing.assert_allclose(regions._requests_variance(own, None, group), [9, 25, 49])


def test_few_rows_at_a_time_give_the_same_to_the_last_bit(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    names, cubes, design = found(log)
    for module in (regions, supply):
        monkeypatch.setattr(module, "blocks", lambda count: blocks.blocks(count, 500))
        monkeypatch.setattr(module, "summed", lambda count, part: blocks.summed(count, part, 500))
    again = found(log)
    assert again[0] == names
    assert again[2] == design
    for name, cube in cubes.items():
        np.testing.assert_array_equal(again[1][name], cube, err_msg=name)


def test_one_region_is_none(log: Log) -> None:
    alone = pd.Categorical(["north", UNKNOWN] * (ROWS // 2))
    cells = evidence.supplies(laptop(), log)
    only = Log(log.meta, log.frame.assign(region=alone))
    assert by_region(laptop(), only, cells, PERIOD_T, np.ones(ROWS).__getitem__, log.fitted_rows()) == ((), None)
