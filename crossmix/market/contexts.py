"""Fused contexts and click and conversion multipliers, resampled from the log by the market.

Shapes: T cycles, C campaigns, P platforms, N contexts, R responses.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from crossmix.config import Config
from crossmix.market.log import Array, Log
from crossmix.state import CONTEXT


def contexts(config: Config, log: Log, fusion: Path | None) -> tuple[Array, Array, Array, Array]:
    """Contexts of training cycles (C, N, 512) and their click-rate multipliers (C, N, P); the cold context and that of
    the log's last cycle, (C, 512) each.
    """
    _, campaigns, platforms = log.shape
    if fusion is None:
        none = np.zeros((campaigns, CONTEXT))
        return none[:, None], np.ones((campaigns, 1, platforms)), none, none
    table = pd.read_parquet(fusion / "contexts.parquet")
    predicted = _predictions(log, fusion)
    weight = log.per_cycle()
    mean_TCP = log.per_cycle(predicted["p_click"]) / np.maximum(weight, 1)
    span = slice(0, log.train_cycles)
    overall = (mean_TCP * weight)[span].sum(0) / np.maximum(weight[span].sum(0), 1)
    multiplier = np.where(weight > 0, mean_TCP / np.maximum(overall, 1e-9), 1.0)
    # A cycle with few impressions says little about its mix: shrink towards 1 as if by 50 average impressions.
    multiplier = (multiplier * weight + 50) / (weight + 50)
    most = min(config.market.context_bank, log.train_cycles)
    bank = np.zeros((campaigns, most, CONTEXT))
    rates = np.ones((campaigns, most, platforms))
    cold, present = np.zeros((campaigns, CONTEXT)), np.zeros((campaigns, CONTEXT))
    for c, campaign in enumerate(log.meta.campaigns):
        rows = table[table["campaign_id"] == campaign].set_index("cycle")["context"]
        if -1 in rows.index:
            cold[c] = np.asarray(rows.loc[-1], float)
        present[c] = np.asarray(rows.loc[rows.index.max()], float) if len(rows) else cold[c]
        cycles = [int(t) for t in rows.index if 0 <= t < log.train_cycles][-most:]
        if not cycles:
            bank[c] = cold[c]
            continue
        chosen = [cycles[i % len(cycles)] for i in range(most)]
        bank[c] = np.stack([np.asarray(rows.loc[t], float) for t in chosen])
        rates[c] = multiplier[chosen, c]
    return bank, rates / np.maximum(rates.mean(1, keepdims=True), 1e-9), cold, present


def _predictions(log: Log, fusion: Path) -> pd.DataFrame:
    table = pd.read_parquet(fusion / "predictions.parquet").set_index("impression_id")
    return table.reindex(log.frame["impression_id"].to_numpy())


def responses(log: Log, fusion: Path | None, size: int = 512) -> tuple[Array, Array]:
    """Click and conversion multipliers of resampled impressions, (C, P, R, 2), with E[g] = 1 and E[g h] = 1; and their
    mean predicted click probability, (C, P).

    From the training period and users who are not held out, but whom the heads were not trained on either where there
    are enough: predictions of trained rows are sharper than those of new impressions.
    """
    _, campaigns, platforms = log.shape
    table, mean = np.ones((campaigns, platforms, size, 2)), np.zeros((campaigns, platforms))
    if fusion is None:
        return table, mean
    predicted = _predictions(log, fusion)
    p_click, p_convert = predicted["p_click"].to_numpy(float), predicted["p_conversion"].to_numpy(float)
    rng = np.random.default_rng(0)
    fitted = (log.frame["split"] == "train").to_numpy() & ~log.frame["holdout"].to_numpy(bool)
    fresh = ~predicted["trained"].to_numpy(bool)
    for c in range(campaigns):
        for p in range(platforms):
            cell = fitted & (log.frame["c"] == c).to_numpy() & (log.frame["p"] == p).to_numpy()
            rows = np.flatnonzero(cell & fresh)
            if len(rows) < 50:
                rows = np.flatnonzero(cell)
            if not len(rows):
                continue
            pick = rng.choice(rows, size)
            mean[c, p] = p_click[pick].mean()
            g = p_click[pick] / max(mean[c, p], 1e-9)
            h = p_convert[pick] / max((g * p_convert[pick]).mean(), 1e-9)
            table[c, p, :, 0], table[c, p, :, 1] = g, h
    return table, mean
