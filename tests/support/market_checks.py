"""A market fitted from an ingested log, and that nothing in it is NaN."""

from __future__ import annotations

import torch

from crossmix.config import Config
from crossmix.market.fit import fit
from crossmix.market.fit.log import Log, read
from crossmix.market.model import Market
from crossmix.market.replay_splits import retrace
from crossmix.schema import Dataset


def fitted(config: Config, dataset: Dataset) -> tuple[Market, Log]:
    """The market of a log without contexts; every figure of it and of its own history is finite."""
    log = read(dataset)
    market = fit.estimate(config, dataset, log, None)
    tables = [*market.value.values(), *market.error.values(), *market.path.values(), market.price, market.price_law]
    tables += [market.volume_week, market.response_week, market.delay, market.budget, market.static, market.control]
    assert all(bool(torch.isfinite(table).all()) for table in tables)
    planned, _, _ = log.planned(dataset)
    for generator in (None, torch.Generator().manual_seed(0)):
        outcome = retrace(market, planned, generator)
        for name in ("spend", "clicks", "conversions", "revenue"):
            figures = getattr(outcome, name)
            assert bool(torch.isfinite(figures).all()), name
            assert bool((figures >= 0).all()), name
    return market, log
