"""What the gate decides of a history in hand, from its file to its verdicts."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd

from crossmix.artifacts import Decision
from crossmix.config import Config, load
from crossmix.evaluate.decision.table import Decided, decided, told
from crossmix.evaluate.gates.case import Case
from crossmix.evaluate.gates.decision import decision
from crossmix.ingest.step import ingest
from crossmix.market.fit.fit import fit
from crossmix.market.fit.log import read
from crossmix.market.model import Market, load_served
from crossmix.market.model import load as load_judged
from crossmix.schema import Dataset
from crossmix.verdicts import Gate


def fitted(folder: Path, frame: pd.DataFrame) -> tuple[Config, Market, Market, Decided]:
    """The market of the training period, the one that is served, and what was decided."""
    frame.to_csv(folder / "history.csv", index=False)
    config = load("laptop", ["data.source=spend", f"data.path={folder / 'history.csv'}"])
    dataset, market = folder / "dataset", folder / "market"
    dataset.mkdir()
    market.mkdir()
    ingest(config, dataset)
    fit(config, dataset, folder / "fusion", market)
    judged, served = load_judged(market), load_served(market)
    return config, judged, served, decided(config, judged, served, read(Dataset(dataset)))


def judge(folder: Path, frame: pd.DataFrame) -> tuple[Decided, Decision, list[Gate]]:
    """What was decided, as it is written, and the gates' verdicts."""
    config, judged, _, found = fitted(folder, frame)
    case = SimpleNamespace(config=config, required=config.gates.required_of_history, decided=found, market=judged)
    case.gate = partial(Case.gate, case)
    return found, told(config, found), list(decision(case))  # type: ignore[arg-type]


def wandering(rng: np.random.Generator, days: int, deviation: float, keep: float = 0.8) -> np.ndarray:
    shocks, series = rng.standard_normal(days), np.zeros(days)
    for day in range(days):
        series[day] = keep * series[day - 1] + (1 - keep**2) ** 0.5 * shocks[day]
    return deviation * series
