"""The judged policy as a bundle, with a table of responses per campaign."""

from __future__ import annotations

from pathlib import Path

import torch

from crossmix import bundle as bundles
from crossmix.config import Config
from crossmix.market.model import Market
from crossmix.market.responder import MarketResponder
from crossmix.response import ResponseTable


def publish_bundle(config: Config, market: Market, actor: torch.nn.Module, folder: Path) -> bundles.Bundle:
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
        responses=response_tables(market),
        data_digest=market.digest,
    )


def response_tables(market: Market) -> dict[str, ResponseTable]:
    return {
        name: ResponseTable.of(MarketResponder(market, name), len(market.platforms), float(market.budget[c]))
        for c, name in enumerate(market.campaigns)
    }
