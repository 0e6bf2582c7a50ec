"""The log replayed through `History`: the 128 budget statistics of every campaign after every cycle."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch

from crossmix.config import Config
from crossmix.history import History, Outcome
from crossmix.market.fit.evidence import history_supplies, inferred, supplies
from crossmix.market.fit.log import Log, read
from crossmix.market.fit.today import today
from crossmix.schema import Dataset
from crossmix.state import ALLOCATION


def statistics(dataset: Dataset, config: Config, log: Log | None = None) -> pd.DataFrame:
    """One row per campaign and finished cycle: campaign_id, cycle, event_timestamp (its end), the 128 statistics.

    A row is what was known at its timestamp: conversions count from the cycle in which they became known.

    Args:
        log: the dataset's, where it has been read already.
    """
    log = read(dataset) if log is None else log
    times, campaigns, platforms = log.shape
    whole = inferred(config, log) if log.meta.aggregate else None
    cells = supplies(config, log) if whole is None else history_supplies(config, log, whole)
    requests = np.stack([[cell.requests for cell in row] for row in cells]).transpose(2, 0, 1)
    cost = np.stack([[cell.cost() for cell in row] for row in cells]).transpose(2, 0, 1)
    planned, low, high = log.planned(dataset)
    delivered = log.totals()
    arrived = log.per_cycle(log.amount("conversions"), by="arrival")
    arrived_revenue = log.per_cycle(log.amount("revenue"), by="arrival")

    def tensor(array: object) -> torch.Tensor:
        return torch.tensor(np.asarray(array), dtype=torch.float32)

    # States are told in today's budget, as they are where the policy learns and serves.
    usual_C = today(log, planned).budget_C if log.meta.today_cycles else planned.sum(2).mean(0)
    totals = planned.sum(2, keepdims=True)
    share = np.where(totals > 0, planned / np.maximum(totals, 1e-12), 1 / platforms)
    history = History(
        window=config.window,
        decay=config.decay,
        horizon=times,
        cycle_budget_B=tensor(usual_C),
        minimum_BP=tensor(np.where(np.isfinite(low), low, config.limits.minimum)),
        maximum_BP=tensor(np.where(np.isfinite(high), high, config.limits.maximum)),
        share_BP=tensor(share[0]),
        delay_BPD=None if whole is None else tensor(np.broadcast_to(whole.delay, (campaigns, *whole.delay.shape))),
    )
    start = pd.Timestamp(log.meta.start).tz_localize(None)
    width = pd.Timedelta(hours=log.meta.cycle_hours)
    parts = []
    for t in range(times):
        end = start + (t + 1) * width
        outcome = Outcome(
            requests=tensor(requests[t]),
            **{name: tensor(table[t]) for name, table in delivered.items()},
            planned=tensor(planned[t]),
        )
        history.update(outcome, tensor(arrived[t]), tensor(arrived_revenue[t]), tensor(cost[t]), tensor(share[t]))
        if log.meta.today_cycles:
            history.shift_B = tensor(planned[: t + 1].sum((0, 2)) - (t + 1) * usual_C)
        platform, campaign = history.statistics(torch.full((campaigns,), float(end.weekday())))
        statistics_CX = ALLOCATION.encode_statistics(platform, campaign)
        part = pd.DataFrame(statistics_CX.numpy(), columns=list(ALLOCATION.names))
        part.insert(0, "event_timestamp", end)
        part.insert(0, "cycle", t)
        part.insert(0, "campaign_id", list(log.meta.campaigns))
        parts.append(part)
    table = pd.concat(parts, ignore_index=True)
    table["event_timestamp"] = table["event_timestamp"].astype("datetime64[us]").dt.tz_localize("UTC")
    return table
