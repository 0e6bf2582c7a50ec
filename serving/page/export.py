"""Delivery as a file for a spreadsheet: a row per campaign, cycle, platform and arm; what was not reported is empty.

A text that a spreadsheet would take for a formula gets an apostrophe before it: names come from people and bidders.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from crossmix.ledger.campaigns import Campaign
from crossmix.ledger.store import Store
from crossmix.metrics import ARMS, METRIC, QUANTITIES
from serving.page.dates import Range, zone_of
from serving.page.delivery import Read, cycles, read

TOGETHER = 10
"""Campaigns that are read at a time: the file is written as it is read."""
RATIOS = ("roas", "cpa")
COLUMNS = (
    "campaign_id",
    "currency",
    "cycle",
    "begins",
    "ends",
    "cycle_state",
    "campaign_planned",
    "platform",
    "arm",
    "told",
    *QUANTITIES,
    *RATIOS,
    "reported",
    "complete",
    "received",
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def lines(
    store: Store, campaigns: Sequence[Campaign], platforms: Sequence[str], asked: Range, now: datetime
) -> Iterator[str]:
    """The file in parts, its head first. Raises `StoreAwayError`."""
    yield _written([COLUMNS])
    for start in range(0, len(campaigns), TOGETHER):
        some = campaigns[start : start + TOGETHER]
        known = read(store, some, asked, now, None)
        for one in some:
            text = _written([row[name] for name in COLUMNS] for row in rows(one, platforms, known, now))
            if text:
                yield text


def rows(campaign: Campaign, platforms: Sequence[str], known: Read, now: datetime) -> Iterator[dict[str, Any]]:
    """A campaign's rows; what is unknown is `None`. What was told no money and did not report is left out."""
    name, zoned = campaign.campaign_id, zone_of(campaign)
    cells, splits = known.cells.get(name, {}), known.splits.get(name, {})
    for day in cycles(campaign, platforms, known, now):
        cycle = day["cycle"]
        for platform in day["platforms"]:
            for arm in ARMS:
                cell, split = cells.get((arm, cycle, platform)), splits.get((arm, cycle))
                amount = None if split is None else split.amount(platform)
                if cell is None and amount == 0:
                    continue
                amounts = None if cell is None else dict(cell.amounts)
                yield {
                    "campaign_id": name,
                    "currency": campaign.currency,
                    "cycle": cycle,
                    "begins": campaign.begins(cycle).astimezone(zoned).isoformat(),
                    "ends": campaign.ends(cycle).astimezone(zoned).isoformat(),
                    "cycle_state": day["state"],
                    "campaign_planned": day["planned"],
                    "platform": platform,
                    "arm": arm,
                    "told": amount,
                    **{key: None if amounts is None else amounts[key] for key in QUANTITIES},
                    **{key: None if amounts is None else METRIC[key].of(amounts) for key in RATIOS},
                    "reported": "no" if cell is None else "yes",
                    "complete": "yes" if cell is not None and cell.complete else "no",
                    "received": None if cell is None else cell.received.isoformat(),
                }


def _written(table: Any) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    for row in table:
        writer.writerow([_cell(value) for value in row])
    return text.getvalue()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.10g}"
    text = str(value)
    return "'" + text if isinstance(value, str) and text.startswith(_FORMULA) else text
