"""The page for people at `/`: verdict, campaigns with what they delivered, splits with their reasons, curves, trail.

Rendered on the server, in the report's look; no script runs and nothing is fetched. `/page.json` says the same, and
`/delivery.csv` what was delivered, row by row. Whatever the number of campaigns, those of one page are read, by a fixed
number of queries. The forms are `serving.page.desk`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import chain, islice
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, StreamingResponse

from crossmix.ledger import quarantine
from crossmix.ledger.campaigns import Campaign
from crossmix.ledger.store import StoreAwayError
from crossmix.metrics import ARMS
from crossmix.schema import together
from serving.page import curves, delivery, desk, export, loop
from serving.page import view as page_view
from serving.page.dates import MOST_DAYS, Range, RangeError

if TYPE_CHECKING:
    from serving.live.live import Live

LISTED = 50
"""Campaigns of a page."""
DETAILED = 8
"""So many campaigns are shown with split and curves, where no more fit the search; another one by ?campaign=NAME."""
ENTRIES = 20


Chosen = Annotated[str | None, Query(max_length=200, description="Show this campaign alone.")]
Sought = Annotated[str, Query(max_length=200, description="Show campaigns whose name has this in it.")]
Number = Annotated[int, Query(ge=1, le=1_000_000, description=f"Which {LISTED} of the campaigns, from 1 on.")]
First = Annotated[str | None, Query(alias="from", max_length=40, description="First day, in a campaign's zone.")]
Last = Annotated[str | None, Query(alias="to", max_length=40, description="Last day, in a campaign's zone.")]
Done = Annotated[str | None, Query(max_length=20, description="What a form has just done.")]
Answers = Callable[[str, str], Mapping[str, Any]]
Status = Callable[[], dict[str, Any] | None]
Trail = Callable[[int], Sequence[Any]]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a page is asked to show."""

    campaign: str | None = None
    q: str = ""
    page: int = 1
    days: Range = field(default_factory=Range)
    trouble: str | None = None
    """Why the days asked for are not shown."""


def router(
    live: Live, status: Status, trail: Trail, answers: Answers | None = None, switch: desk.Switch | None = None
) -> APIRouter:
    """The page's routes, for a FastAPI application, its forms among them.

    Args:
        status: the experiment so far, as `serving.experiment.verdict.status` tells it; `None`: nothing to tell.
        trail: the newest so many entries of the audit trail.
        answers: (campaign, arm) to the prediction of the cycle that runs; the predictors' own if `None`.
        switch: how pauses and overrides are made; straight into the database if `None`.
    """
    routes, questions = APIRouter(tags=["page"]), answers or _predictors(live)

    def gathered(asked: Asked) -> dict[str, Any]:
        return gather(live, status, trail, questions, asked, live.clock())

    @routes.get("/", response_class=HTMLResponse, summary="The page for people")
    def page(
        request: Request,
        campaign: Chosen = None,
        q: Sought = "",
        page: Number = 1,
        first: First = None,
        last: Last = None,
        done: Done = None,
    ) -> Response:
        try:
            asked = Asked(campaign, q, page, Range.read(first, last))
        except RangeError as error:
            asked = Asked(campaign, q, page, trouble=str(error))
        admin = bool((request.scope.get("state") or {}).get("admin"))
        text = page_view.render(gathered(asked), admin=admin, done=desk.DONE.get(done or ""))
        return HTMLResponse(text, headers=desk.HEADERS)

    @routes.get("/page.json", summary="What the page shows")
    def plain(
        campaign: Chosen = None, q: Sought = "", page: Number = 1, first: First = None, last: Last = None
    ) -> Response:
        try:
            asked = Asked(campaign, q, page, Range.read(first, last))
        except RangeError as error:
            return JSONResponse({"error": str(error)}, 422)
        return JSONResponse(gathered(asked), headers={"cache-control": "no-store"})

    @routes.get("/delivery.csv", summary="What was delivered beside what was told, as CSV", response_class=Response)
    def table(campaign: Chosen = None, q: Sought = "", first: First = None, last: Last = None) -> Response:
        by_name = live.campaigns
        if campaign is not None and campaign not in by_name:
            return JSONResponse({"error": f"campaign: {campaign!r} is unknown; leave it out for all"}, 404)
        try:
            days = Range.read(first, last)
            names = [campaign] if campaign is not None else _matching(by_name, q)
            parts = _begun(
                export.lines(live.store, [by_name[name] for name in names], live.platforms, days, live.clock())
            )
        except RangeError as error:
            return JSONResponse({"error": str(error)}, 422)
        except StoreAwayError as error:
            return JSONResponse({"error": str(error)}, 503, {"retry-after": "1"})
        named = {"content-disposition": 'attachment; filename="delivery.csv"', "cache-control": "no-store"}
        return StreamingResponse(parts, media_type="text/csv; charset=utf-8", headers=named)

    desk.add(routes, live, switch or desk.switcher(live))
    return routes


def gather(live: Live, status: Status, trail: Trail, answers: Answers, asked: Asked, now: datetime) -> dict[str, Any]:
    """What the page shows, as plain data."""
    planned = live.campaigns
    chosen = asked.campaign if asked.campaign in planned else None
    names = [chosen] if chosen is not None else _matching(planned, asked.q)
    pages = max(1, -(-len(names) // LISTED))
    number = min(asked.page, pages)
    shown = [planned[name] for name in names[(number - 1) * LISTED : number * LISTED]]
    detailed = shown if len(names) <= DETAILED else []
    experiment = _unless_away(status)
    entries = _unless_away(lambda: [_entry(one) for one in trail(ENTRIES)])
    silent, verdicts = live.config.serving.guard.silent, _of_campaigns(experiment)
    read = _unless_away(lambda: delivery.read(live.store, shown, asked.days, now, silent=silent))
    held = (
        _unless_away(lambda: quarantine.read(live.store, [one.campaign_id for one in shown], [quarantine.HELD])) or ()
    )
    serving, snapshot = live.champion.current, live.snapshot
    return {
        "now": now.isoformat(),
        "degraded": [dict(trouble) for trouble in live.degraded()],
        "bundle": {
            "version": serving.version,
            "digest": serving.bundle.digest,
            "since": datetime.fromtimestamp(serving.since, UTC).isoformat(),
            "gates": [dict(gate) for gate in serving.bundle.manifest.get("gates") or ()],
            "held": [asdict(one) | {"sentence": one.sentence} for one in serving.bundle.held],
        },
        "ended": None
        if snapshot.ended is None
        else {
            "why": snapshot.ended,
            "at": _iso(snapshot.ended_at),
            "everybody": snapshot.everybody,
        },
        "experiment": None if experiment is None else _experiment(experiment),
        "canary": live.trial.sentence(),
        "loop": _unless_away(lambda: loop.read(live.store)),
        "listing": {
            "campaign": chosen,
            "unknown": asked.campaign if chosen is None else None,
            "q": asked.q,
            "page": number,
            "pages": pages,
            "matching": len(names),
            **_counted(planned.values(), now),
        },
        "range": {
            "from": _iso(asked.days.first),
            "to": _iso(asked.days.last),
            "most_days": MOST_DAYS,
            "trouble": asked.trouble,
        },
        "campaigns": [
            _campaign(one, now)
            | {"delivery": None if read is None else delivery.of(one, live.platforms, read, now, silent)}
            | {"verdict": verdicts.get(one.campaign_id), "changes": _changes(experiment, one.campaign_id)}
            | {"held": [cell.as_dict() for cell in held if cell.campaign_id == one.campaign_id]}
            for one in shown
        ],
        "details": [_detail(live, one, answers) for one in detailed],
        "trail": entries,
    }


def _matching(campaigns: Mapping[str, Campaign], q: str) -> list[str]:
    """Names that have the text in them, whatever its case, in order."""
    wanted = q.strip().casefold()
    return sorted(name for name in campaigns if wanted in name.casefold()) if wanted else sorted(campaigns)


def _counted(campaigns: Iterable[Campaign], now: datetime) -> dict[str, int]:
    """How many campaigns there are, run, are paused and are held by hand."""
    total = running = paused = held = 0
    for one in campaigns:
        total += 1
        held += one.override is not None
        going = one.starts <= now and _goes_on(one, now)
        paused += one.paused and going
        running += going and not one.paused
    return {"total": total, "running": running, "paused": paused, "held": held}


def _goes_on(one: Campaign, now: datetime) -> bool:
    """Whether a campaign that has begun is not over; the calendar is asked only within a day of its end."""
    since, nominal = now - one.starts, one.calendar.nominal
    if since < (one.cycles - 1) * nominal:
        return True
    return since <= one.cycles * nominal + timedelta(days=1) and one.cycle(now) < one.cycles


def _unless_away(work: Callable[[], Any]) -> Any:
    """What the database gives; `None` while it is away."""
    try:
        return work()
    except StoreAwayError:
        return None


def _begun(parts: Iterator[str]) -> Iterator[str]:
    """A file whose first rows are read already: what is away is told before anything is sent."""
    first = list(islice(parts, 2))
    return chain(first, parts)


def _predictors(live: Live) -> Answers:
    """What the predictors answer now, without a note that it was served: looking is not serving."""
    from serving.allocation.answer import Answerer
    from serving.allocation.question import Question

    class Unrecorded:
        recorder: Any = type("Nothing", (), {"served": lambda *_: None})()

        def __getattr__(self, name: str) -> Any:
            return getattr(live, name)

    answerer: Any = Answerer(Unrecorded())  # type: ignore[arg-type]

    def answers(campaign: str, arm: str) -> Mapping[str, Any]:
        answer: Mapping[str, Any] = answerer.answer([Question(campaign, "page", arm)], arm)[0]
        return answer

    return answers


def _campaign(one: Campaign, now: datetime) -> dict[str, Any]:
    cycle = one.cycle(now)
    state = "not begun" if cycle < 0 else "over" if cycle >= one.cycles else "running"
    return {**one.as_dict(), "cycle": cycle, "ends": one.ends(one.cycles - 1).isoformat(), "state": state}


def _detail(live: Live, one: Any, answers: Answers) -> dict[str, Any]:
    """The split of each arm with its reasons, and the curves."""
    arms: dict[str, Any] = {}
    troubles = []
    for arm in ARMS:
        try:
            arms[arm] = answers(one.campaign_id, arm)
        except ValueError as error:  # limits that leave no split, for one
            troubles.append(f"{arm}: {error}")
    table = live.bundle.responses.get(one.campaign_id)
    weights = {arm: live.weight(arm) for arm in ARMS}
    amounts = {
        arm: [part["amount"] / weights[arm] for part in answer["allocation"]]
        for arm, answer in arms.items()
        if weights[arm] > 0
    }
    platforms = [
        {
            "platform": platform,
            "untried": platform in live.bundle.untried.get(one.campaign_id, ()),
            "arms": {arm: answer["allocation"][slot] for arm, answer in arms.items()},
        }
        for slot, platform in enumerate(live.platforms)
    ]
    first = ("cycle", "budget", "expected_revenue", "expected_revenue_interval", "explored", "override")
    keys = (*first, "state_source", "state_as_of", "notes", "reasons")
    return {
        "campaign_id": one.campaign_id,
        "currency": one.currency,
        "cycle_budget": one.cycle_budget,
        "together": in_all(live, one),
        "weights": weights,
        "arms": {arm: {key: answer.get(key) for key in keys} for arm, answer in arms.items()},
        "platforms": platforms if arms else [],
        "curves": [] if table is None else curves.curves(table, live.platforms, amounts, one.cycle_budget),
        "troubles": troubles,
    }


def in_all(live: Live, one: Any) -> str | None:
    """What a campaign's cycle costs with what is held; `None`: nothing is, or campaigns share it."""
    held = live.bundle.held
    return together(one.cycle_budget, held, one.currency) if held and len(live.campaigns) == 1 else None


_SETTING = ("id", "weights", "started", "ended", "reason", "state", "shipped")


def _experiment(status: Mapping[str, Any]) -> dict[str, Any]:
    """The experiment in short; what a status does not have is `None`."""
    return {
        **{key: _dig(status, "experiment", key) for key in _SETTING},
        "word": _dig(status, "verdict", "word"),
        "line": _dig(status, "verdict", "line"),
        "finished": _dig(status, "cycles", "finished"),
        "planned": _dig(status, "cycles", "planned"),
        "users": _dig(status, "sample_ratio", "users"),
        "balance": _dig(status, "sample_ratio", "verdict"),
        "balance_reason": _dig(status, "sample_ratio", "reason"),
        "roi": {arm: _dig(status, "arms", arm, "roi") for arm in ARMS},
        "lift": _dig(status, "verdict", "interval") or _dig(status, "lifts", "roi", "always_valid"),
        "guardrails": [
            {key: rail.get(key) for key in ("name", "verdict", "detail", "sentence")}
            for rail in _dig(status, "guardrails") or ()
            if isinstance(rail, Mapping)
        ],
    }


def _of_campaigns(status: Mapping[str, Any] | None) -> dict[str, dict[str, Any]]:
    """What the experiment says of single campaigns, by name: of those that it lists."""
    rows = _dig(status, "by_campaign", "rows")
    return {
        str(row.get("campaign_id")): {"word": row.get("word"), "lift": row.get("lift"), "reason": row.get("reason")}
        for row in (rows if isinstance(rows, list | tuple) else ())
        if isinstance(row, Mapping)
    }


def _changes(status: Mapping[str, Any] | None, campaign: str) -> list[dict[str, Any]]:
    """What was changed of a campaign, or of the bundle of all, while the experiment ran."""
    marks = _dig(status, "phases")
    return [
        {key: mark.get(key) for key in ("at", "what", "who", "subject", "reason")}
        for mark in (marks if isinstance(marks, list | tuple) else ())
        if isinstance(mark, Mapping)
        and (mark.get("subject") == campaign or str(mark.get("action")).startswith("bundle."))
    ]


def _iso(moment: Any) -> str | None:
    return None if moment is None else str(moment.isoformat())


def _dig(value: Any, *path: str) -> Any:
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _entry(one: Any) -> dict[str, Any]:
    entry: dict[str, Any] = dict(one) if isinstance(one, Mapping) else one.as_dict()
    return entry
