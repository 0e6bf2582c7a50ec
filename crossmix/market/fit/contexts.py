"""Fused contexts and click and conversion multipliers, resampled from the log by similarity (§2.2).

A campaign's training cycles fall into groups of like fused contexts (k-means). A cycle that the market plays takes its
context from one of the log's, and its impressions' responses from logged impressions of the same group.

Shapes: T training cycles, C campaigns, P platforms, N contexts, G groups, R responses.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from crossmix.config import Config
from crossmix.market.fit.log import Array, Log
from crossmix.market.fit.predictions import predictions
from crossmix.state import ALLOCATION

LEAST_CYCLES = 6
"""Cycles that a group of like contexts has on average at least."""
LEAST_ROWS = 50
"""Impressions that responses are drawn from at least; a smaller cell takes those of all groups."""

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Contexts:
    """What the log's cycles were about."""

    bank_CND: Array
    """Fused contexts of training cycles, the last ones."""
    rate_CNP: Array
    """Their click-rate multipliers, mean 1."""
    group_CN: Ints
    """Which group of like contexts each belongs to."""
    cycle_group_CT: Ints
    """The group of every training cycle."""
    cold_CD: Array
    """Before the first cycle."""
    present_CD: Array
    """Of the log's last cycle."""


def contexts(config: Config, log: Log, fusion: Path | None) -> Contexts:
    """Contexts of the training cycles and their groups; without `fusion` each campaign's code, and one group."""
    _, campaigns, platforms = log.shape
    if fusion is None:
        code = codes(campaigns)
        alike = np.zeros((campaigns, log.train_cycles), np.int64)
        return Contexts(code[:, None], np.ones((campaigns, 1, platforms)), alike[:, :1], alike, code, code)
    table = pd.read_parquet(fusion / "contexts.parquet")
    weight = log.per_cycle()
    p_click = predictions(log, fusion, ("p_click",))["p_click"]
    mean_TCP = log.per_cycle(p_click) / np.maximum(weight, 1)
    span = slice(0, log.train_cycles)
    overall = (mean_TCP * weight)[span].sum(0) / np.maximum(weight[span].sum(0), 1)
    multiplier = np.where(weight > 0, mean_TCP / np.maximum(overall, 1e-9), 1.0)
    # A cycle with few impressions says little about its mix: shrink towards 1 as if by 50 average impressions.
    multiplier = (multiplier * weight + 50) / (weight + 50)
    most = min(config.market.context_bank, log.train_cycles)
    groups = max(1, min(config.market.context_groups, log.train_cycles // LEAST_CYCLES))
    bank = np.zeros((campaigns, most, ALLOCATION.context_size))
    rates = np.ones((campaigns, most, platforms))
    group = np.zeros((campaigns, most), np.int64)
    cycle_group = np.zeros((campaigns, log.train_cycles), np.int64)
    cold, present = np.zeros((campaigns, ALLOCATION.context_size)), np.zeros((campaigns, ALLOCATION.context_size))
    for c, campaign in enumerate(log.meta.campaigns):
        rows = table[table["campaign_id"] == campaign].set_index("cycle")["context"]
        if -1 in rows.index:
            cold[c] = np.asarray(rows.loc[-1], float)
        present[c] = np.asarray(rows.loc[rows.index.max()], float) if len(rows) else cold[c]
        cycles = [int(t) for t in rows.index if 0 <= t < log.train_cycles]
        if not cycles:
            bank[c] = cold[c]
            continue
        cycle_group[c, cycles] = _alike(np.stack([np.asarray(rows.loc[t], float) for t in cycles]), groups)
        chosen = [cycles[-most:][i % len(cycles[-most:])] for i in range(most)]
        bank[c] = np.stack([np.asarray(rows.loc[t], float) for t in chosen])
        rates[c], group[c] = multiplier[chosen, c], cycle_group[c, chosen]
    rates = rates / np.maximum(rates.mean(1, keepdims=True), 1e-9)
    return Contexts(bank, rates, group, cycle_group, cold, present)


def codes(campaigns: int) -> Array:
    """What stands for the contexts of campaigns whose impressions nobody saw, (C, 512), of length 1; of one, zeros.

    A state tells its campaign by its context, as the base policy must know whose market it solves. Codes are a unit
    vector for each, and of more campaigns than a context has places random signs, which nearly never are alike.
    """
    size = ALLOCATION.context_size
    if campaigns == 1:
        return np.zeros((1, size))
    if campaigns <= size:
        return np.eye(campaigns, size)
    code_CD: Array = (2.0 * np.random.default_rng(0).integers(2, size=(campaigns, size)) - 1.0) / np.sqrt(size)
    return code_CD


def _alike(context_ND: Array, groups: int) -> Ints:
    """Group of every context: k-means on the unit sphere, so that likeness is the cosine's."""
    from sklearn.cluster import KMeans

    unit = context_ND / np.maximum(np.linalg.norm(context_ND, axis=1, keepdims=True), 1e-12)
    distinct = len(np.unique(unit.round(9), axis=0))
    group_N = KMeans(min(groups, distinct), n_init=4, random_state=0).fit_predict(unit)
    return np.asarray(group_N, np.int64)


def responses(log: Log, fusion: Path | None, cycle_group_CT: Ints, size: int = 512) -> tuple[Array, Array]:
    """Click and conversion multipliers of impressions by group of their cycle, (C, G, P, R, 2), with E[g] = 1 and
    E[g h] = 1 in each cell; and their mean predicted click probability, (C, G, P).

    From the training period and users who are not held out, but whom the heads were not trained on either where there
    are enough: predictions of trained rows are sharper than those of new impressions.
    """
    _, campaigns, platforms = log.shape
    groups = int(cycle_group_CT.max(initial=0)) + 1
    table, mean = np.ones((campaigns, groups, platforms, size, 2)), np.zeros((campaigns, groups, platforms))
    if fusion is None:
        return table, mean
    predicted = predictions(log, fusion, ("p_click", "p_conversion", "trained"))
    rng = np.random.default_rng(0)
    fitted, trained = log.fitted_rows(), predicted["trained"].astype(bool, copy=False)
    for c in range(campaigns):
        for p in range(platforms):
            cell = np.flatnonzero(fitted & (log.column("c") == c) & (log.column("p") == p))
            fresh = ~trained[cell]
            group = cycle_group_CT[c, np.minimum(log.column("cycle")[cell], cycle_group_CT.shape[1] - 1)]
            for g in range(groups):
                alike = group == g
                pools = (cell[pool] for pool in (alike & fresh, alike, fresh))
                rows = next((rows for rows in pools if len(rows) >= LEAST_ROWS), cell)
                if not len(rows):
                    continue
                pick = rng.choice(rows, size)
                p_click, p_convert = (predicted[name][pick].astype(float) for name in ("p_click", "p_conversion"))
                mean[c, g, p] = p_click.mean()
                click = p_click / max(mean[c, g, p], 1e-9)
                table[c, g, p, :, 0] = click
                table[c, g, p, :, 1] = p_convert / max((click * p_convert).mean(), 1e-9)
    return table, mean
