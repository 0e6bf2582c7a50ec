"""The page for people at `/`: campaigns, splits with their reasons, what-if curves, experiment, bundle, audit trail.

Rendered on the server, in the report's look; no script runs and nothing is fetched. `/page.json` says the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query, Response
from fastapi.responses import HTMLResponse, JSONResponse

from crossmix.ledger.store import StoreAwayError
from crossmix.metrics import ARMS
from serving.page import curves
from serving.page import view as page_view

if TYPE_CHECKING:
    from serving.live.live import Live

DETAILED = 8
"""So many campaigns are shown with split and curves; another one by ?campaign=NAME."""
ENTRIES = 20
HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'",
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}

Chosen = Annotated[str | None, Query(max_length=200, description="Show this campaign alone.")]
Answers = Callable[[str, str], Mapping[str, Any]]


def router(
    live: Live,
    status: Callable[[], dict[str, Any] | None],
    trail: Callable[[int], Sequence[Any]],
    answers: Answers | None = None,
) -> APIRouter:
    """The page's routes, for a FastAPI application.

    Args:
        status: the experiment so far, as `serving.experiment.verdict.status` tells it; `None`: nothing to tell.
        trail: the newest so many entries of the audit trail.
        answers: (campaign, arm) to the prediction of the cycle that runs; the predictors' own if `None`.
    """
    routes, asked = APIRouter(tags=["page"]), answers or _predictors(live)

    def gathered(campaign: str | None) -> dict[str, Any]:
        return gather(live, status, trail, asked, campaign, live.clock())

    @routes.get("/", response_class=HTMLResponse, summary="The page for people")
    def page(campaign: Chosen = None) -> Response:
        return HTMLResponse(page_view.render(gathered(campaign)), headers=HEADERS)

    @routes.get("/page.json", summary="What the page shows")
    def plain(campaign: Chosen = None) -> Response:
        return JSONResponse(gathered(campaign), headers={"cache-control": "no-store"})

    return routes


def gather(
    live: Live,
    status: Callable[[], dict[str, Any] | None],
    trail: Callable[[int], Sequence[Any]],
    answers: Answers,
    campaign: str | None,
    now: datetime,
) -> dict[str, Any]:
    """What the page shows, as plain data."""
    planned = live.campaigns
    names = sorted(planned)
    detailed = [campaign] if campaign in planned else names[:DETAILED]
    try:
        entries: list[dict[str, Any]] | None = [_entry(one) for one in trail(ENTRIES)]
    except StoreAwayError:
        entries = None
    try:
        experiment = status()
    except StoreAwayError:
        experiment = None
    serving = live.champion.current
    return {
        "now": now.isoformat(),
        "degraded": [dict(trouble) for trouble in live.degraded()],
        "bundle": {
            "version": serving.version,
            "digest": serving.bundle.digest,
            "since": datetime.fromtimestamp(serving.since, UTC).isoformat(),
            "gates": [dict(gate) for gate in serving.bundle.manifest.get("gates") or ()],
        },
        "experiment": None if experiment is None else _experiment(experiment),
        "campaigns": [_campaign(planned[name], now) for name in names],
        "details": [_detail(live, planned[name], answers) for name in detailed],
        "trail": entries,
    }


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


def _campaign(one: Any, now: datetime) -> dict[str, Any]:
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
        "weights": weights,
        "arms": {arm: {key: answer.get(key) for key in keys} for arm, answer in arms.items()},
        "platforms": platforms if arms else [],
        "curves": [] if table is None else curves.curves(table, live.platforms, amounts, one.cycle_budget),
        "troubles": troubles,
    }


def _experiment(status: Mapping[str, Any]) -> dict[str, Any]:
    """The experiment in short; what a status does not have is `None`."""
    return {
        "id": _dig(status, "experiment", "id"),
        "weights": _dig(status, "experiment", "weights"),
        "started": _dig(status, "experiment", "started"),
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


def _dig(value: Any, *path: str) -> Any:
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _entry(one: Any) -> dict[str, Any]:
    entry: dict[str, Any] = dict(one) if isinstance(one, Mapping) else one.as_dict()
    return entry
