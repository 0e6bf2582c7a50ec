"""Campaigns that are read as one account: the split between them is that of the planted optimum."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks._field_responses import best
from crossmix import whatif
from crossmix.config import load
from crossmix.ingest.step import ingest
from crossmix.market.fit.fit import fit
from crossmix.market.model import load_served
from tests.support.bent_histories import WORLD, earned, planted

PLATFORMS = tuple(WORLD)
CAMPAIGN = {"search": "GOOG - Brand", "social": "META - Prospecting", "video": "TT - Spark", "display": "GDN - All"}


def revenue(spend_GP: np.ndarray) -> np.ndarray:
    """Expected revenue of a day, (G, P)."""
    return np.stack([earned(name, np.maximum(spend_GP[:, p], 1e-9))[0] for p, name in enumerate(PLATFORMS)], 1)  # type: ignore[arg-type]


def halves(history: pd.DataFrame) -> pd.DataFrame:
    """Each platform's rows as those of two campaigns, a constant mix."""
    figures = ["spend", "impressions", "clicks", "conversions", "revenue"]
    one, other = history.copy(), history.copy()
    for name in figures:
        one[name] = np.floor(0.6 * history[name])
        other[name] = (history[name] - one[name]).round(2)
    other["campaign"] = other["campaign"] + " 2"
    return pd.concat([one, other], ignore_index=True)


@pytest.mark.parametrize(("seed", "several"), [(40221, False), (40222, True)])
def test_the_split_between_campaigns_of_a_platform_each_is_near_the_optimum(
    seed: int, several: bool, tmp_path: Path
) -> None:
    history = planted(120, seed=seed)
    history["campaign"] = history["platform"].map(CAMPAIGN)
    file, dataset, fitted = tmp_path / "history.csv", tmp_path / "dataset", tmp_path / "market"
    file.write_text((halves(history) if several else history).to_csv(index=False))
    config = load("laptop", ["data.source=spend", f"data.path={file}", "data.campaigns=together"])
    for folder in (dataset, fitted):
        folder.mkdir()
    ingest(config, dataset)
    fit(config, dataset, tmp_path / "fusion", fitted)
    market = load_served(fitted)
    assert market.campaigns == ("all campaigns",)
    assert not market.untried.any()
    scene = whatif.make_scene(market)
    recent = sorted(history["date"].unique())[-14:]
    assert scene.budget == pytest.approx(history.loc[history["date"].isin(recent), "spend"].sum() / 14, rel=1e-3)
    plan = {one.platform: one.share.value for one in whatif.best_split(scene, scene.budget).best.platforms}
    share_P = np.array([plan[name] for name in PLATFORMS])
    best_P = best(revenue, scene.budget, np.full(4, scene.budget)) / scene.budget
    np.testing.assert_allclose(share_P, best_P, atol=0.12)
    today_P = scene.today_P.numpy()[[scene.platforms.index(name) for name in PLATFORMS]]
    got, most, now = (float(revenue(scene.budget * part[None]).sum()) for part in (share_P, best_P, today_P))
    assert got > 0.98 * most > now
