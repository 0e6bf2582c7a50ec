"""One campaign under two names, as the number beside its name tells: renamed on a day, it is one, told."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

import pandas as pd

from crossmix.sources.history.aliases import CHANGEOVER
from crossmix.sources.history.columns import CAMPAIGN, plain
from crossmix.sources.history.repeated import Rows

_NUMBERED = re.compile(
    r"(?:metrics )?(?:campaign|kampagnen?|campagne|campaña|campagna|campanha|кампании)(?: group)? "
    r"?(?:id|ids|number|nr)|"
    r"(?:id|numéro|nº) (?:de |della |da )?(?:la )?(?:campaign|campagne|campaña|campagna|campanha|кампании)|"
    r"キャンペーン id|广告系列 id|캠페인 id"
)
"""Columns of campaigns' numbers, by their plain names."""
SHOWN = 6


def settle(rows: Rows) -> Rows:
    """The rows with the last name of each campaign that was renamed; `rows.notes` gets a sentence.

    A number whose names have days together, or a name of several numbers on a platform, tells nothing.
    """
    ids = next((texts for name, texts in rows.others.items() if _NUMBERED.fullmatch(plain(name))), None)
    if ids is None or CAMPAIGN not in rows.columns:
        return rows
    frame = pd.DataFrame({name: rows.columns[name] for name in ("date", "platform", CAMPAIGN)})
    frame["id"] = [text.strip() for text in ids]
    frame = frame[frame.ne("").all(axis=1)]
    per_name = frame.groupby(["platform", CAMPAIGN], observed=True)["id"].nunique()
    several = frame.groupby(["platform", "id"], observed=True)[CAMPAIGN].nunique()
    new: dict[tuple[str, str], str] = {}
    for platform, number in several.index[several > 1]:
        own = frame[(frame["platform"] == platform) & (frame["id"] == number)]
        days = {str(name): set(texts) for name, texts in own.groupby(CAMPAIGN, observed=True)["date"]}
        order = sorted(days, key=lambda name: max(days[name]))
        if _follow([days[name] for name in order]) and all(per_name[platform, name] == 1 for name in order):
            new |= {(platform, name): order[-1] for name in order[:-1]}
    if not new:
        return rows
    keys = zip(rows.columns["platform"], rows.columns[CAMPAIGN], strict=True)
    rows.columns[CAMPAIGN] = [new.get(key, key[1]) for key in keys]
    told = list(dict.fromkeys(f"{old!r} is {name!r}" for (_, old), name in new.items()))
    more = f" and {len(told) - SHOWN:,} more" if len(told) > SHOWN else ""
    rows.notes.append(
        f"Campaigns that were renamed, as their numbers tell, are read under their last name: "
        f"{', '.join(told[:SHOWN])}{more}."
    )
    return rows


def _follow(days: Sequence[set[str]]) -> bool:
    """Whether names have days one after the other, but for a few of a change."""
    return all(
        len([day for day in one if day >= min(later)]) <= CHANGEOVER < min(len(one), len(later))
        for one, later in pairwise(days)
    )
