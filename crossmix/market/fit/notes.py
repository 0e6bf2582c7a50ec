"""What a report says of a fitted market."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from crossmix.market.fit.log import Log
from crossmix.market.model import Market

NAMED = 10
"""So many cells that were not tried are named."""


def _cells(market: Market, which: Tensor) -> str:
    """Campaigns on platforms, (C, P), in words; of many the first."""
    names = [f"{market.campaigns[c]} on {market.platforms[p]}" for c, p in np.argwhere(which.numpy()).tolist()]
    return ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")


def notes(market: Market, served: Market, log: Log) -> list[str]:
    """What the report says of the fit; `served`: fitted on all periods, where `market` saw those that train."""
    told = []
    if log.meta.aggregate:
        told.append(
            "The log is a spend history: how impressions, clicks and conversions answer to money is inferred from how "
            "daily totals move together, pooled over campaigns and platforms; requests rest on an assumed usual share "
            "won (config market.assumed_win_rate). The gates play the market of the training period and hold the last "
            f"cycles against it; what is served, and the change that is judged, are of the fit on all {log.shape[0]}."
        )
        never, since = served.untried, market.untried & ~served.untried
        if never.any():
            told.append(
                f"Never tried: {_cells(market, never)}. What they would earn is borrowed from like campaigns and "
                "platforms; where none of those can be compared, they get limits.probe of a budget at most."
            )
        if since.any():
            told.append(
                f"Tried after the training period alone: {_cells(market, since)}. What the gates play borrows what "
                "they earn from like campaigns and platforms; what is served, whose change is judged, has learned it "
                "from their own days."
            )
    elif market.provenance["requests"] == "approximated":
        told.append(
            "The log has no bids: request volume, win rate and saturation rest on an assumed win rate, and what more "
            "wins would cost on an assumed spread of bids (config market.assumed_win_rate, .assumed_bid_dispersion)."
        )
    if not log.meta.weekday_pattern:
        told.append("The log is too short or its clock too coarse for a weekday pattern; every day is alike.")
    if float(market.value["ctr_drift"].max()) == 0:
        told.append("Cycle-to-cycle variation of the click rate is within sampling noise: no drift is simulated.")
    return told
