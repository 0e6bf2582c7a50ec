"""How the page at `/` looks: `serving.page.routes`'s plain data as HTML."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from crossmix.metrics import ARMS, formula
from crossmix.pages.charts import platform_colour
from crossmix.pages.format import DASH, count, interval, number, share
from crossmix.pages.render import render as page
from crossmix.pages.table import NOTHING, Cell, Table, gate_table
from serving.page import curves, figures, loop
from serving.page.dates import DAYS
from serving.page.differences import LONGEST, differences, text_of

ROOT = "."
"""Links are relative: behind a proxy the server may have a path of its own."""
TEMPLATE = Path(__file__).with_name("page.html.j2")
CHIPS = {"running": "pass", "paused": "insufficient-data", "not begun": "none", "over": "none"}
VERDICT_CHIPS = {
    "policy better": "pass",
    "control better": "fail",
    "blocked": "fail",
    "ended by guardrail": "fail",
    "shipped": "pass",
}
SOURCES = {
    "own": "statistics of the arm’s own feedback",
    "log": "statistics of the log",
    "cold": "no statistics yet",
    "request": "as asked",
}
BINDS = {"min": "floor", "max": "cap", "step": "step limit", "frozen": "freeze", "supply": "sold out"}
NEW = " Never tried: the campaign never spent there in the history; what it would earn is borrowed from others."


def render(data: Mapping[str, Any], *, admin: bool = False, done: str | None = None) -> str:
    """The page.

    Args:
        admin: who looks may change things, and so gets the buttons.
        done: what a form has just done.
    """
    by_name = {one["campaign_id"]: one for one in data["campaigns"]}
    platforms = list(dict.fromkeys(row["platform"] for one in data["details"] for row in one["platforms"]))
    colours = {name: platform_colour(index) for index, name in enumerate(platforms)}
    alone = data["listing"]["campaign"] is not None
    details = [
        _detail({**by_name[one["campaign_id"]], **one}, index, colours) for index, one in enumerate(data["details"])
    ]
    sections = [("campaigns", "Campaigns"), *((one["anchor"], one["campaign_id"]) for one in details if not alone)]
    days = {"from": data["range"]["from"], "to": data["range"]["to"]}
    listing = data["listing"]
    return page(
        TEMPLATE,
        sections=[
            *sections,
            ("experiment", "Experiment"),
            ("loop", "Loop"),
            ("bundle", "Bundle"),
            ("trail", "Audit trail"),
        ],
        data=data,
        admin=admin,
        root=ROOT,
        done=done,
        alone=alone,
        headline=headline(data),
        sentences=_sentences(data),
        bundle=_bundle(data),
        rows=[
            {
                **one,
                **figures.overview(one),
                "lift": NOTHING if one["verdict"] is None else figures.lift(one["verdict"]["lift"]),
            }
            for one in by_name.values()
        ],
        lifted=any(_dig(one["verdict"], "lift") is not None for one in by_name.values()),
        span=_span(data["range"]),
        here=f"{ROOT}/{_query(campaign=listing['campaign'], q=listing['q'], page=listing['page'], **days)}",
        query=_query(campaign=listing["campaign"], q=listing["q"], **days),
        search=_query(q=listing["q"], **days).replace("?", "&"),
        tail=_query(**days).replace("?", "&"),
        details=details,
        chips=CHIPS,
        verdict_chip=VERDICT_CHIPS.get(str((data["experiment"] or {}).get("word")), "none"),
        experiment=_experiment_table(data["experiment"]),
        formula=formula("roi"),
        mixed=_mixed(data["experiment"]),
        gates=gate_table(data["bundle"]["gates"]),
        passed=sum(gate.get("verdict") == "pass" for gate in data["bundle"]["gates"]),
        changes=_changes,
        loop=_loop(data["loop"]),
        sources=SOURCES,
    )


def _loop(data: Any) -> dict[str, Any]:
    tables = () if data is None else (loop.alert_table(data), loop.run_table(data), loop.version_table(data))
    return {"summary": loop.summary(data), "tables": [table for table in tables if table.rows]}


def _detail(one: Mapping[str, Any], index: int, colours: Mapping[str, str]) -> dict[str, Any]:
    """A campaign with its tables and charts."""
    delivered = one["delivery"] or {"days": [], "platforms": {}, "left": None, "received": None}
    known = bool(delivered["days"])
    said, both = _said(one["arms"])
    return {
        **one,
        "said": said,
        "both": both,
        "anchor": f"campaign-{index}",
        "first": figures.local(one["starts"], one["timezone"]),
        "last": figures.local(one["ends"], one["timezone"]),
        "left": delivered["left"],
        "received": delivered["received"],
        "days": delivered["days"],
        "silent": [
            (name, part["silent_since"]) for name, part in delivered["platforms"].items() if part["silent_since"]
        ],
        "spend_chart": figures.spend(one) if known else "",
        "roas_chart": figures.roas(one) if known else "",
        "day_table": figures.days(one) if known else None,
        "platform_table": figures.platforms(one) if known else None,
        "grid_table": figures.grid(one) if known else None,
        "table": _split_table(one),
        "bars": _bars(one, colours),
        "reasons": _reasons(one),
        "legend": [(row["platform"], colours[row["platform"]]) for row in one["platforms"]],
        "panels": curves.panels(one["curves"]),
    }


def _said(arms: Mapping[str, Mapping[str, Any]]) -> tuple[dict[str, list[str]], list[str]]:
    """What each arm's answer says in sentences, and what both say, once."""
    said = {}
    for arm, answer in arms.items():
        notes = (f"{note[:1].upper()}{note[1:]}." for note in answer["notes"] or ())
        said[arm] = list(dict.fromkeys((*(answer["reasons"] or ()), *notes)))
    first = next(iter(said.values()), [])
    both = [line for line in first if len(said) > 1 and all(line in lines for lines in said.values())]
    return {arm: [line for line in lines if line not in both] for arm, lines in said.items()}, both


def _split_table(one: Mapping[str, Any]) -> Table:
    shown = [arm for arm in ARMS if arm in one["arms"]]
    policy = "policy" in shown
    rows = []
    for row in one["platforms"]:
        cells = [Cell(row["platform"])]
        for arm in shown:
            part = row["arms"][arm]
            cells.append(Cell(share(part["share"]), f"num {'own' if arm == 'policy' else ''}", number(part["amount"])))
            span = interval(*(part["marginal_roi_interval"] or (None,) * 2))
            earned = Cell(number(part["marginal_roi"]), "num", span)
            cells.append(Cell("never tried", "num muted") if row["untried"] else earned)
            if arm == "policy":
                limit = part["binding"]
                cells.append(Cell(BINDS.get(limit, limit or DASH), "" if limit else "muted"))
        cells.append(Cell(row["arms"][shown[0]].get("differs") or DASH, "prose"))
        cells.append(Cell(row["arms"][shown[0]]["reason"], "prose"))
        rows.append(tuple(cells))
    columns = {"policy": ("Share", "Marginal ROI", "Held by"), "control": ("Share", "Marginal ROI")}
    return Table(
        f"Share of the arm’s budget; small type: the amount in {one['currency']} per cycle. Marginal ROI: revenue of "
        "the next unit of money, as the policy sees the cycle; small type: 95 % interval from the market’s fitted "
        f"parameters.{NEW if any(row['untried'] for row in one['platforms']) else ''}",
        (
            "",
            *(title for arm in shown for title in columns[arm]),
            "Differs from usual",
            "Why, policy" if policy else "Why",
        ),
        tuple(rows),
        (*((arm, len(columns[arm])) for arm in shown), ("", 2)),
    )


def _reasons(one: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What the table's last column says, for a screen too narrow for it."""
    first = next(iter(one["arms"]), "policy")
    return [(row["platform"], row["arms"][first]["reason"]) for row in one["platforms"]]


def _bars(one: Mapping[str, Any], colours: Mapping[str, str]) -> list[dict[str, Any]]:
    return [
        {
            "arm": arm,
            "parts": [
                {
                    "platform": row["platform"],
                    "share": share(row["arms"][arm]["share"]),
                    "width": f"{100 * row['arms'][arm]['share']:.3f}",
                    "colour": colours[row["platform"]],
                }
                for row in one["platforms"]
                if row["arms"][arm]["share"] > 0
            ],
        }
        for arm in one["arms"]
    ]


def _experiment_table(one: Mapping[str, Any] | None) -> Table | None:
    if one is None:
        return None
    rows = []
    for arm in ARMS:
        roi = one["roi"][arm] or {}
        users = Cell(count((one["users"] or {}).get(arm)), "num")
        rows.append(
            (Cell(arm), users, Cell(number(roi.get("value")), "num", interval(roi.get("low"), roi.get("high"))))
        )
    rows.append((Cell("Policy over control"), NOTHING, figures.lift(one["lift"])))
    return Table("", ("", "Users", "ROI"), tuple(rows))


def _mixed(one: Mapping[str, Any] | None) -> bool:
    """Whether arms have no ROI as their money is in several currencies, while their lift is known."""
    return one is not None and one["lift"] is not None and all(_dig(one["roi"][arm], "value") is None for arm in ARMS)


def _changes(before: Any, after: Any) -> str:
    """From what to what, key by key; of something new its plain fields."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        return (
            "; ".join(
                f"{key}: {text_of(old, LONGEST)} → {text_of(new, LONGEST)}"
                for key, old, new in differences(before, after)
            )
            or DASH
        )
    if isinstance(after, Mapping) and before is None:
        plain = [(key, value) for key, value in after.items() if not isinstance(value, Mapping) and value is not None]
        return "; ".join(f"{key}: {text_of(value, LONGEST)}" for key, value in plain if key != "campaign_id")
    if before is None and after is None:
        return DASH
    return f"{text_of(before, LONGEST)} → {text_of(after, LONGEST)}"


def headline(data: Mapping[str, Any]) -> str:
    """The verdict; of an experiment that is over first of all that it is."""
    one, ended = data["experiment"] or {}, data["ended"] or {}
    at = one.get("ended") or ended.get("at")
    if _shipped(data):
        return f"Shipped{_on(one.get('shipped') or at)}: the policy serves every user"
    if at or ended:
        why = one.get("reason") or ended.get("why")
        return f"The experiment has ended{_on(at)}" + (f": {why}" if why else "")
    return one.get("line") or "No verdict yet: no cycle with feedback has finished"


def _shipped(data: Mapping[str, Any]) -> bool:
    one, ended = data["experiment"] or {}, data["ended"] or {}
    return one.get("state") == "shipped" or bool(one.get("shipped")) or ended.get("everybody") == "policy"


def _sentences(data: Mapping[str, Any]) -> list[str]:
    """What stands below the headline."""
    listing, one, sentences = data["listing"], data["experiment"] or {}, []
    if _shipped(data) or one.get("ended") or data["ended"]:
        if one.get("line"):
            sentences.append(one["line"])
        if not _shipped(data):
            sentences.append("Every user gets the static split now.")
    counts = [f"{listing['running']} of {listing['total']} campaigns run"]
    for key, words in (("paused", "paused"), ("held", "held by hand")):
        if listing[key]:
            counts.append(f"{listing[key]} {words}")
    return [*sentences, "; ".join(counts) + "."]


def _bundle(data: Mapping[str, Any]) -> str:
    version = data["bundle"]["version"]
    return f"version {version}" if version is not None else f"bundle {data['bundle']['digest'][:8]}"


def _on(at: str | None) -> str:
    return f" on {at[:10]}" if at else ""


def _span(days: Mapping[str, Any]) -> str:
    first, last = days["from"], days["to"]
    if first is None and last is None:
        return f"The last {DAYS} days of each, in its own time zone."
    span = f"from {first}" if last is None else f"to {last}" if first is None else f"{first} to {last}"
    return f"Days {span}, {days['most_days']} at most, in each campaign’s time zone."


def _query(**values: Any) -> str:
    """A query of what is not empty."""
    pairs = [(key, value) for key, value in values.items() if value not in (None, "")]
    return f"?{urlencode(pairs)}" if pairs else ""


def _dig(value: Any, key: str) -> Any:
    return value.get(key) if isinstance(value, Mapping) else None
