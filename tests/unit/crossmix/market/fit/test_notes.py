"""What a report says of a fit: what was never tried, and what was tried too late for the market that is judged."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import torch

from crossmix.market.fit.log import Log
from crossmix.market.fit.notes import NAMED, notes
from crossmix.market.model import Market
from tests.support.markets import make_market, of_totals

HISTORY = cast(Log, SimpleNamespace(meta=SimpleNamespace(aggregate=True, weekday_pattern=True), shape=(150, 2, 3)))


def untried(*cells: tuple[int, int], platforms: int = 3) -> Market:
    market = of_totals(make_market(platforms=platforms))
    which = torch.zeros_like(market.untried)
    for campaign, platform in cells:
        which[campaign, platform] = True
    return replace(market, untried=which)


def test_what_began_after_the_training_period_was_tried() -> None:
    """Campaign 1 is new to the judged market alone; on platform 0 neither market has seen campaign 0."""
    judged, served = untried((0, 0), (1, 1), (1, 2)), untried((0, 0))
    name = f"{judged.campaigns[0]} on {judged.platforms[0]}"
    since = f"{judged.campaigns[1]} on {judged.platforms[1]}, {judged.campaigns[1]} on {judged.platforms[2]}"
    told = notes(judged, served, HISTORY)
    assert [note for note in told if note.startswith("Never tried:")] == [
        f"Never tried: {name}. What they would earn is borrowed from like campaigns and platforms; where none of those "
        "can be compared, they get limits.probe of a budget at most."
    ]
    assert any(note.startswith(f"Tried after the training period alone: {since}. ") for note in told)


def test_where_all_was_tried_nothing_is_said_of_it() -> None:
    assert not any("ried" in note for note in notes(untried(), untried(), HISTORY))


def test_many_are_counted() -> None:
    cells = tuple((c, p) for c in range(2) for p in range(NAMED))
    market = untried(*cells, platforms=NAMED)
    assert any(f" and {len(cells) - NAMED} more." in note for note in notes(market, market, HISTORY))
