"""Campaigns, overrides, feedback and the audit trail over HTTP, for a FastAPI application.

Bodies are read as bytes and checked by the models of the rooms that know them (`serving.fields.Body`), which
`/openapi.json` is made of too, so that every refusal is one sentence. The database is used on threads, feedback on some
of its own, of campaigns' changes on others, and overrides and pauses have a lane (`serving.campaigns.lane`): who waits
for the database keeps nobody else waiting.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Annotated, Any, Protocol

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool

from crossmix.clock import Clock
from crossmix.ledger import audit
from crossmix.ledger.campaigns import Campaign, load_some
from crossmix.ledger.store import Store, StoreAwayError
from crossmix.ledger.switches import LIFT, PAUSE, RESUME, SET, Switch
from serving import fields
from serving.assignment.arms import Experiment
from serving.campaigns import service as campaigns
from serving.campaigns.lane import Lane
from serving.campaigns.schema import Edit, NewCampaign, NewOverride
from serving.feedback import events as feedback
from serving.feedback.cloud_events import FeedbackError, MalformedError
from serving.feedback.events import Receipt
from serving.fields import CampaignError
from serving.http import openapi as described
from serving.http.answers import (
    AuditAnswer,
    CampaignAnswer,
    CampaignsAnswer,
    ImportAnswer,
    PartialReceiptAnswer,
    ReceiptAnswer,
)
from serving.http.bodies import UnreadableError, json_of
from serving.http.writers import MOST, BusyError, Writers

_log = logging.getLogger(__name__)
_PARTIAL = "some events do not count: their id is known with other content, or they are corrections that cannot be"
_RENAMED = "why is named reason now; send reason, why will be refused in a later version"


class Serving(Protocol):
    """What the routes need of the server."""

    @property
    def store(self) -> Store:
        """The database; raises `StoreAwayError`."""

    @property
    def clock(self) -> Clock:
        """What time it is for cycles and changes."""

    @property
    def platforms(self) -> tuple[str, ...]:
        """In slot order."""

    @property
    def experiment(self) -> Experiment:
        """Who is in which arm; the newest, with those before."""

    @property
    def campaigns(self) -> Mapping[str, Campaign]:
        """As last read, with the changes of the kill switch's lane on top."""

    @property
    def lane(self) -> Lane:
        """The kill switch's own."""


class _InSentences(APIRoute):
    """Our own errors as {"error": sentence} with their status; what a request was warned of as the header `warning`."""

    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]
        inner = super().get_route_handler()

        async def handle(request: Request) -> Response:
            try:
                response = await inner(request)
            except (CampaignError, FeedbackError) as error:
                response = JSONResponse({"error": str(error)}, error.status)
            except (StoreAwayError, BusyError) as error:
                response = JSONResponse({"error": str(error)}, 503, {"retry-after": "1"})
            if (request.scope.get("state") or {}).get("renamed"):
                response.headers["warning"] = f'299 crossmix "{_RENAMED}"'
            return response

        return handle


def _reason(
    request: Request,
    reason: Annotated[fields.Reason, Query()] = "",
    why: Annotated[fields.Reason | None, Query(deprecated=True, description="its name is reason now")] = None,
) -> str:
    """Why a change is made, by the parameter's name of now or of before."""
    return _renamed(request, reason, why)


Reason = Annotated[str, Depends(_reason)]
Each = Annotated[
    bool, Query(description="Of an array: add the rows that can be used, and leave those that are there already alone.")
]


def _renamed(request: Request, reason: str, why: str | None) -> str:
    """The reason; `why` is its name of before, which is warned of in the answer and in the log."""
    if why is None:
        return reason
    if reason:
        raise CampaignError("why: reason is there too; send reason alone")
    request.scope.setdefault("state", {})["renamed"] = True
    _log.warning("%s %s: %s", request.method, getattr(request.scope.get("route"), "path", ""), _RENAMED)
    return why


def router(
    live: Serving,
    *,
    changed: Callable[[], Any],
    clock: Clock | None = None,
    observed: Callable[[Receipt], Any] | None = None,
    waiting: int = MOST,
) -> APIRouter:
    """The routes.

    Args:
        live: store, platforms, experiment and the campaigns as last read.
        changed: called after each change of a campaign, before it is acknowledged; it reads the campaigns anew.
        clock: the time, UTC; `live`'s if `None`.
        observed: called with the receipt of each request of feedback.
        waiting: requests of feedback that may wait for the database, and as many that change campaigns.
    """
    routes, clock = APIRouter(route_class=_InSentences), clock or live.clock
    change = _Change(live, changed, waiting)
    _add_campaigns(routes, live, change, clock)
    _add_switches(routes, live, clock)
    _add_single_campaign(routes, live, change, clock)
    _add_feedback(routes, live, clock, observed, Writers("feedback", waiting))
    return routes


class _Change:
    """Changes of campaigns: what `work` makes of the store, on a thread that feedback never takes; the campaigns are
    read anew before it is acknowledged."""

    def __init__(self, live: Serving, changed: Callable[[], Any], waiting: int) -> None:
        self._live, self._changed, self._writers = live, changed, Writers("campaigns", waiting)

    async def __call__(self, work: Callable[..., Any], *args: Any) -> Any:
        def both() -> Any:
            result = work(self._live.store, *args)
            self._changed()
            return result

        return await self._writers.run(both)


def _shown(campaign: Campaign, clock: Clock) -> dict[str, Any]:
    return {**campaign.as_dict(), "cycle": campaign.cycle(clock())}


def _add_campaigns(routes: APIRouter, live: Serving, change: _Change, clock: Clock) -> None:
    """All campaigns."""

    @routes.get("/campaigns", tags=["campaigns"], responses=described.answer(CampaignsAnswer))
    async def list_campaigns() -> Any:
        """Every campaign, by name."""
        by_name = live.campaigns
        return JSONResponse({"campaigns": [_shown(by_name[name], clock) for name in sorted(by_name)]})

    @routes.post(
        "/campaigns",
        tags=["campaigns"],
        status_code=201,
        openapi_extra=described.body(described.one_or_more(NewCampaign)),
        responses=described.answer(CampaignAnswer | CampaignsAnswer | ImportAnswer, 201),
    )
    async def create(request: Request, reason: Reason, each: Each = False) -> Any:
        """Add a campaign, or, of an array, all of them or none; with `each`, those of them that can be used."""
        raw, actor = await _json(request), _actor(request)
        if isinstance(raw, list) and each:
            done = await change(campaigns.import_each, raw, live.platforms, actor, reason)
            faults = [{"row": number, "error": fault} for number, fault in done.faults]
            return JSONResponse({"added": done.added, "same": done.same, "faults": faults}, 201)
        if isinstance(raw, list):
            rows = await change(campaigns.import_, raw, actor, live.platforms, reason)
            return await run_in_threadpool(
                lambda: JSONResponse({"campaigns": [_shown(row, clock) for row in rows]}, 201)
            )
        one = await change(campaigns.create, raw, live.platforms, actor, reason)
        return JSONResponse(_shown(one, clock), 201)


def _add_switches(routes: APIRouter, live: Serving, clock: Clock) -> None:
    """Overrides and pauses; their paths go before that of a campaign whose name has slashes."""

    async def switch(request: Request, action: str, campaign_id: str, reason: str, *split: Any) -> Response:
        campaign = live.campaigns.get(campaign_id)
        if campaign is None:  # one that another replica has just made
            campaign = await run_in_threadpool(lambda: campaigns.get(live.store, campaign_id))
        entry = await live.lane.ask(Switch(action, campaign_id, _actor(request), reason, clock(), *split))
        shown = _shown(entry.switch.on(live.campaigns.get(campaign_id, campaign)), clock)
        note = entry.note()
        return JSONResponse(shown if note is None else {**shown, "pending": True, "note": note})

    @routes.post("/campaigns/{campaign_id:path}/pause", tags=["campaigns"], responses=described.SWITCHED)
    async def pause(request: Request, campaign_id: described.Id, reason: Reason) -> Any:
        """Stop the campaign's spending, at once."""
        return await switch(request, PAUSE, campaign_id, reason)

    @routes.post("/campaigns/{campaign_id:path}/resume", tags=["campaigns"], responses=described.SWITCHED)
    async def resume(request: Request, campaign_id: described.Id, reason: Reason) -> Any:
        """Let it spend again."""
        return await switch(request, RESUME, campaign_id, reason)

    @routes.put(
        "/campaigns/{campaign_id:path}/override",
        tags=["overrides"],
        openapi_extra=described.body(described.one(NewOverride)),
        responses=described.SWITCHED,
    )
    async def override(request: Request, campaign_id: described.Id) -> Any:
        """Put the campaign on its static split (the kill switch) or on a given one, at once, until it is lifted."""
        new = NewOverride.read(await _json(request), platforms=live.platforms)
        reason = _renamed(request, new.reason, new.why)
        return await switch(request, SET, campaign_id, reason, new.kind, new.share)

    @routes.delete("/campaigns/{campaign_id:path}/override", tags=["overrides"], responses=described.SWITCHED)
    async def lift(request: Request, campaign_id: described.Id, reason: Reason) -> Any:
        """Give the campaign back to its policy."""
        return await switch(request, LIFT, campaign_id, reason)


def _add_single_campaign(routes: APIRouter, live: Serving, change: _Change, clock: Clock) -> None:
    @routes.get("/campaigns/{campaign_id:path}", tags=["campaigns"], responses=described.CAMPAIGN)
    async def get(campaign_id: described.Id) -> Any:
        """One campaign, with the cycle that runs."""
        return JSONResponse(_shown(campaigns.known(live.campaigns, campaign_id), clock))

    @routes.patch(
        "/campaigns/{campaign_id:path}",
        tags=["campaigns"],
        openapi_extra=described.body(described.one(Edit)),
        responses=described.CAMPAIGN,
    )
    async def edit(request: Request, campaign_id: described.Id, reason: Reason) -> Any:
        """Change fields: share as a whole, limits by platform and bound (null takes one off)."""
        args = (await _json(request), live.platforms, _actor(request), reason)
        return JSONResponse(_shown(await change(campaigns.edit, campaign_id, *args), clock))


def _add_feedback(
    routes: APIRouter,
    live: Serving,
    clock: Clock,
    observed: Callable[[Receipt], Any] | None,
    writers: Writers,
) -> None:
    """Feedback, and the audit trail."""

    @routes.post(
        "/feedback",
        tags=["feedback"],
        openapi_extra=described.feedback_body(),
        responses={**described.answer(ReceiptAnswer), 409: {"description": _PARTIAL, "model": PartialReceiptAnswer}},
    )
    async def take(request: Request) -> Any:
        """Outcomes of delivery: an event, an array of events, or CloudEvents. Acknowledged when on the disk.

        409: some events do not count, for their id is known with other content, or they correct what cannot be
        corrected; the receipt names them, and the others are kept.
        """
        writers.check()
        body, now = await request.body(), clock()
        receipt = await writers.run(lambda: _take(live, feedback.parse(body, request.headers), now))
        if observed is not None:
            observed(receipt)
        problem = receipt.error
        if problem is None:
            return JSONResponse(receipt.as_dict())
        return JSONResponse({"error": problem, **receipt.as_dict()}, 409)

    @routes.get("/audit", tags=["audit"], responses=described.answer(AuditAnswer))
    async def trail(
        subject: Annotated[str | None, Query(max_length=200, pattern=r"^[^\x00]*$")] = None,
        limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
    ) -> Any:
        """Who changed what, when, from what to what; the newest first."""
        entries = await run_in_threadpool(lambda: audit.trail(live.store, subject, limit))
        return JSONResponse({"entries": [entry.as_dict() for entry in entries]})


def _take(live: Serving, raws: list[Any], now: datetime) -> Receipt:
    by_name = live.campaigns
    names = {raw["campaign_id"] for raw in raws if isinstance(raw, dict) and isinstance(raw.get("campaign_id"), str)}
    if not names <= by_name.keys():
        # Campaigns that another replica has just made.
        by_name = {**by_name, **load_some(live.store, names - by_name.keys())}
    events = feedback.check(raws, by_name, live.platforms, live.experiment, now)
    return feedback.ingest(live.store, events, now)


def _actor(request: Request) -> str:
    """The token's name, where the server asks for tokens."""
    return str((request.scope.get("state") or {}).get("actor") or "local")


async def _json(request: Request) -> Any:
    try:
        return json_of(await request.body())
    except UnreadableError as error:
        raise MalformedError(f"{error}; send what /openapi.json describes") from None
