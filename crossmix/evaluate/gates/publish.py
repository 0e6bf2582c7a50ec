"""The judged policy as a bundle, with a table of responses per campaign and its monitor's thresholds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from crossmix import bundle as bundles
from crossmix.config import Config
from crossmix.evaluate.play import Act
from crossmix.evaluate.watch.expectation import Expectation
from crossmix.evaluate.watch.quiet import calibrate
from crossmix.market.conditions import scaled_market
from crossmix.market.model import Market
from crossmix.market.pacing import tables
from crossmix.market.responder import MarketResponder
from crossmix.response import ResponseTable

PLANNED = ("requests", "ctr", "cvr", "value", "saturation")
"""The parameters that a plan's tables hold, beside the price."""


def publish_bundle(
    config: Config, market: Market, actor: torch.nn.Module, folder: Path, *, act: Act | None = None
) -> bundles.Bundle:
    """The bundle of an actor, with responses of the market that it plans in.

    Args:
        act: what plays quiet flights for the thresholds that the bundle carries; `None`: it carries none.
    """
    planned = planned_market(config, market, actor)
    return bundles.save(
        folder,
        actor,
        config=config,
        platforms=market.platforms,
        limits={name: market.limits(c) for c, name in enumerate(market.campaigns)},
        plans={
            name: bundles.Plan(
                float(market.budget[c]), market.currency, tuple(market.static[c].tolist()), float(market.cycle_hours)
            )
            for c, name in enumerate(market.campaigns)
        },
        contexts={name: market.present_context[c].numpy() for c, name in enumerate(market.campaigns)},
        responses=response_tables(planned),
        data_digest=market.digest,
        watch=None if act is None else watch_file(config, planned, act),
    )


def watch_file(config: Config, market: Market, act: Act) -> bytes | None:
    """watch.npz: what is usual in this market, and thresholds of its quiet flights; `None` where config wants none."""
    if not config.thresholds.flights:
        return None
    calibrated = calibrate(config, market, act)
    return Expectation.of(market, config.levels, config.thresholds.budget, calibrated).as_bytes()


def planned_market(config: Config, market: Market, actor: torch.nn.Module) -> Market:
    """The market that an actor plans in: the fitted one, or what alignment made of it, which its plan then holds."""
    planner: Any = getattr(actor, "planner", None)
    fitted = None if planner is None else tables(market, config)
    if fitted is None:
        return market
    ratio = {}
    for name in (*PLANNED, "spend"):
        mine, theirs = getattr(planner, name).cpu(), fitted[name]
        ratio[name] = torch.where(mine == theirs, 1.0, mine / theirs.clamp(min=1e-12))
    factors = {name: table.mean(2) if table.ndim == 3 else table for name, table in ratio.items() if name in PLANNED}
    factors["price_multiplier"] = ratio["spend"][..., -1]
    if all(bool((factor == 1).all()) for factor in factors.values()):
        return market
    return scaled_market(market, **factors)


def response_tables(market: Market) -> dict[str, ResponseTable]:
    return {
        name: ResponseTable.of(MarketResponder(market, name), len(market.platforms), float(market.budget[c]))
        for c, name in enumerate(market.campaigns)
    }
