"""Which of an API's actions counts: Meta's `actions` list purchases beside leads, clicks and steps on the way.

Of JSON each action is a column (`actions.purchase`), and its value one of another list (`action_values.purchase`).
One that a business is paid for counts if it is the only one; of several one is asked for, as by rows
(`crossmix.sources.history.actions`): they would be added up, or campaigns compared by different things.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from crossmix.schema import DataError
from crossmix.sources.history import named_periods
from crossmix.sources.history.actions import MATTERS
from crossmix.sources.history.columns import column_of
from crossmix.sources.history.numbers import values
from crossmix.sources.history.sheet import Sheet

COUNTS, WORTH = "actions.", "action_values."
_WHERE = re.compile(
    r"^(?:omni_|offsite_conversion\.fb_pixel_|offsite_conversion\.|onsite_web_app_|onsite_web_|onsite_app_|"
    r"onsite_conversion\.|app_custom_event\.fb_mobile_|web_app_in_store_|web_in_store_|mobile_)"
)
"""Where an action happened, as the beginning of its name."""
_GOALS = re.compile(
    r"purchase|lead(?:_grouped)?|complete_registration|subscribe(?:_total)?|start_trial(?:_total)?|schedule(?:_total)?|"
    r"submit_application(?:_total)?|donate(?:_total)?|contact(?:_total)?|app_install|custom\..+|(?:fb_pixel_)?custom"
)
"""Actions that somebody is paid for; the rest are seen, clicked or steps on the way."""


def aligned(sheets: Sequence[Sheet]) -> list[tuple[Sheet, list[Sheet]]]:
    """The sheets with the actions of all pages of their platform, and each with these pages, itself among them.

    An action that a page does not name happened in none of its records. A sheet without any action is as it was, and
    has no pages.
    """
    pages: dict[str, list[Sheet]] = {}
    for sheet in sheets:
        if _actions(sheet):
            pages.setdefault(named_periods.without_period(sheet.stem), []).append(sheet)
    every = {stem: dict.fromkeys(name for one in own for name in _actions(one)) for stem, own in pages.items()}
    result = []
    for sheet in sheets:
        stem = named_periods.without_period(sheet.stem)
        own = pages[stem] if _actions(sheet) else []
        lacks = [name for name in every[stem] if name not in sheet.header] if own else []
        rows = [[*row, *[""] * len(lacks)] for row in sheet.rows] if lacks else sheet.rows
        result.append((replace(sheet, header=[*sheet.header, *lacks], rows=rows), own))
    return result


def _actions(sheet: Sheet) -> list[str]:
    return [name for name in sheet.header if name.startswith((COUNTS, WORTH))]


def chosen(sheet: Sheet, mapped: Mapping[str, str], pages: Sequence[Sheet] = ()) -> tuple[dict[str, str], list[str]]:
    """`data.columns` with the action that counts and its value, and sentences for the user.

    Args:
        mapped: `data.columns`.
        pages: of the sheet's platform, as `aligned` has them: all decide together, so that each says the same.

    Raises:
        DataError: several may count, or none that is known does.
    """
    given = dict(mapped)
    at = {name: place for place, name in enumerate(sheet.header) if name.startswith((COUNTS, WORTH))}
    every = dict.fromkeys(name for one in pages or [sheet] for name in _actions(one) if name in at)
    kinds = [name.removeprefix(COUNTS) for name in every if name.startswith(COUNTS)]
    if not kinds or any(column_of(name) == "conversions" for name in sheet.header):
        return given, []
    wanted = given.get("conversions")
    if wanted is not None:
        kind = wanted.removeprefix(COUNTS)
        if kind in kinds and "revenue" not in given and not any(column_of(name) == "revenue" for name in sheet.header):
            given |= _worth(kind, at)
        return given, []
    sums = {kind: sum(_sum(one, COUNTS + kind) for one in pages or [sheet]) for kind in kinds}
    kind, alike = _counting(sums, sheet.name)
    given |= {"conversions": COUNTS + kind} | (_worth(kind, at) if "revenue" not in given else {})
    same = ", ".join(f"{COUNTS}{other} {sums[other]:,.0f}" for other in alike)
    told = f"Conversions are the action {kind!r} ({sums[kind]:,.0f} in all)"
    return given, [told + (f"; {same} tell the same." if same else ".")]


def _counting(sums: Mapping[str, float], name: str) -> tuple[str, list[str]]:
    """The action that counts, and others that are the same one by another way of counting."""
    goals: dict[str, list[str]] = {}
    for kind in sums:
        plain = _WHERE.sub("", kind)
        if _GOALS.fullmatch(plain):
            goals.setdefault(re.sub(r"_(?:grouped|total)$", "", plain), []).append(kind)
    most = {goal: max(sums[kind] for kind in own) for goal, own in goals.items()}
    clear = [goal for goal, size in most.items() if size > MATTERS * sum(most.values())] or list(goals)[:1]
    if len(clear) != 1:
        shown = sorted(clear or sums, key=lambda kind: -(most.get(kind) or sums.get(kind, 0.0)))[:4]
        listed = ", ".join(f"{kind!r} {most.get(kind) or sums.get(kind, 0.0):,.0f}" for kind in shown)
        example = goals[shown[0]][0] if clear else shown[0]
        raise DataError(
            f"conversions: 'actions' of {name!r} counts {'different things' if clear else 'nothing that is known'} "
            f"({listed}), and which of them is the sale that counts it does not say: name it "
            f"(--map conversions={COUNTS}{example}); its value, where it has one, goes with it"
        )
    own = goals[clear[0]]
    # Across devices and shops, by its plain name, or what counts most.
    first = min(own, key=lambda kind: (not kind.startswith("omni_"), kind != clear[0], -sums[kind]))
    return first, [kind for kind in own if kind != first]


def _worth(kind: str, at: Mapping[str, int]) -> dict[str, str]:
    return {"revenue": WORTH + kind} if WORTH + kind in at else {}


def _sum(sheet: Sheet, name: str) -> float:
    """Of a column; of one that a sheet does not have, nothing."""
    place = sheet.header.index(name) if name in sheet.header else None
    return 0.0 if place is None else float(np.nansum(values([row[place] for row in sheet.rows])))
