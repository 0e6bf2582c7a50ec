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
    """Of the kept rows: squared distances of users' impressions from their region's shares, over chance."""
    _, _, design = found(log)
    frame = log.frame[~log.frame["holdout"] & log.frame["region"].isin(["south", "north", "east"])]
    met = frame.groupby(["user", "p"]).size().unstack(fill_value=0)
    home = frame.groupby("user")["region"].last().astype(str)
    share = met.groupby(home).sum()
    share = share.div(share.sum(1), axis=0).loc[home].to_numpy()
    usual = met.sum(1).to_numpy()[:, None] * share
    expected = ((met.to_numpy() - usual) ** 2).sum() / (usual * (1 - share)).sum()
    assert design["requests"] == pytest.approx(max(1.0, expected))


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
