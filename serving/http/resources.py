"""Campaigns, overrides, feedback and the audit trail over HTTP, for a FastAPI application.

Bodies are read as bytes and checked by the models of the rooms that know them (`serving.fields.Body`), which
`/openapi.json` is made of too, so that every refusal is one sentence. The database is used on threads: the event loop
goes on answering.
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
from crossmix.ledger.campaigns import Campaign, load_all
from crossmix.ledger.store import Store, StoreAwayError
from serving import fields
from serving.assignment.arms import Experiment
from serving.campaigns import service as campaigns
from serving.campaigns.schema import Edit, NewCampaign, NewOverride
from serving.feedback import events as feedback
from serving.feedback.cloud_events import FeedbackError, MalformedError
from serving.feedback.events import Receipt
from serving.fields import CampaignError
from serving.http import openapi as described
from serving.http.answers import AuditAnswer, CampaignAnswer, CampaignsAnswer, ReceiptAnswer
from serving.http.bodies import UnreadableError, json_of

_log = logging.getLogger(__name__)
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
        """As last read."""


class _InSentences(APIRoute):
    """Our own errors as {"error": sentence} with their status; what a request was warned of as the header `warning`."""

    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]
        inner = super().get_route_handler()

        async def handle(request: Request) -> Response:
            try:
                response = await inner(request)
            except (CampaignError, FeedbackError) as error:
                response = JSONResponse({"error": str(error)}, error.status)
            except StoreAwayError as error:
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
) -> APIRouter:
    """The routes.

    Args:
        live: store, platforms, experiment and the campaigns as last read.
        changed: called after each change of a campaign, before it is acknowledged; it reads the campaigns anew.
        clock: the time, UTC; `live`'s if `None`.
        observed: called with the receipt of each request of feedback.
    """
    routes, clock = APIRouter(route_class=_InSentences), clock or live.clock
    _add_campaigns(routes, live, changed, clock)
    _add_overrides(routes, live, changed, clock)
    _add_single_campaign(routes, live, changed, clock)
    _add_feedback(routes, live, clock, observed)
    return routes


Changed = Callable[[], Any]


async def _change(live: Serving, changed: Changed, work: Callable[..., Any], *args: Any) -> Any:
    """What `work` makes of the store, on a thread; the campaigns are read anew before it is acknowledged."""

    def both() -> Any:
        result = work(live.store, *args)
        changed()
        return result

    return await run_in_threadpool(both)


def _shown(campaign: Campaign, clock: Clock) -> dict[str, Any]:
    return {**campaign.as_dict(), "cycle": campaign.cycle(clock())}


def _add_campaigns(routes: APIRouter, live: Serving, changed: Changed, clock: Clock) -> None:
    """All campaigns; and to pause and resume one, whose paths go before that of a campaign whose name has slashes."""

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
        responses=described.answer(CampaignAnswer | CampaignsAnswer, 201),
    )
    async def create(request: Request, reason: Reason) -> Any:
        """Add a campaign, or, of an array, all of them or none."""
        raw, actor = await _json(request), _actor(request)
        if isinstance(raw, list):
            rows = await _change(live, changed, campaigns.import_, raw, actor, live.platforms, reason)
            return await run_in_threadpool(
                lambda: JSONResponse({"campaigns": [_shown(row, clock) for row in rows]}, 201)
            )
        one = await _change(live, changed, campaigns.create, raw, live.platforms, actor, reason)
        return JSONResponse(_shown(one, clock), 201)

    @routes.post("/campaigns/{campaign_id:path}/pause", tags=["campaigns"], responses=described.CAMPAIGN)
    async def pause(request: Request, campaign_id: described.Id, reason: Reason) -> Any:
        """Stop the campaign's spending."""
        paused = await _change(live, changed, campaigns.pause, campaign_id, _actor(request), reason)
        return JSONResponse(_shown(paused, clock))

    @routes.post("/campaigns/{campaign_id:path}/resume", tags=["campaigns"], responses=described.CAMPAIGN)
    async def resume(request: Request, campaign_id: described.Id, reason: Reason) -> Any:
        """Let it spend again."""
        resumed = await _change(live, changed, campaigns.resume, campaign_id, _actor(request), reason)
        return JSONResponse(_shown(resumed, clock))


def _add_overrides(routes: APIRouter, live: Serving, changed: Changed, clock: Clock) -> None:
    @routes.put(
        "/campaigns/{campaign_id:path}/override",
        tags=["overrides"],
        openapi_extra=described.body(described.one(NewOverride)),
        responses=described.CAMPAIGN,
    )
    async def override(request: Request, campaign_id: described.Id) -> Any:
        """Put the campaign on its static split (the kill switch) or on a given one, until it is lifted."""
        new = NewOverride.read(await _json(request), platforms=live.platforms)
        reason = _renamed(request, new.reason, new.why)
        args = (new.kind, new.share, live.platforms, _actor(request), reason)
        return JSONResponse(_shown(await _change(live, changed, campaigns.set_override, campaign_id, *args), clock))

    @routes.delete("/campaigns/{campaign_id:path}/override", tags=["overrides"], responses=described.CAMPAIGN)
    async def lift(request: Request, campaign_id: described.Id, reason: Reason) -> Any:
        """Give the campaign back to its policy."""
        lifted = await _change(live, changed, campaigns.lift, campaign_id, _actor(request), reason)
        return JSONResponse(_shown(lifted, clock))


def _add_single_campaign(routes: APIRouter, live: Serving, changed: Changed, clock: Clock) -> None:
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
        return JSONResponse(_shown(await _change(live, changed, campaigns.edit, campaign_id, *args), clock))


def _add_feedback(routes: APIRouter, live: Serving, clock: Clock, observed: Callable[[Receipt], Any] | None) -> None:
    """Feedback, and the audit trail."""

    @routes.post(
        "/feedback",
        tags=["feedback"],
        openapi_extra=described.feedback_body(),
        responses=described.answer(ReceiptAnswer),
    )
    async def take(request: Request) -> Any:
        """Outcomes of delivery: an event, an array of events, or CloudEvents. Acknowledged when on the disk."""
        raws = feedback.parse(await request.body(), request.headers)
        receipt = await run_in_threadpool(_take, live, raws, clock())
        if observed is not None:
            observed(receipt)
        return JSONResponse(receipt.as_dict())

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
        by_name = load_all(live.store)  # a campaign that another replica has just made
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
