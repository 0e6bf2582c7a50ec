"""Campaigns, overrides, feedback and the audit trail over HTTP, for a FastAPI application.

Bodies are read as bytes and checked by the rooms that know them, so that every refusal is one sentence. The database is
used on threads: the event loop goes on answering.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Protocol

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool

from crossmix.ledger import audit
from crossmix.ledger.campaigns import Campaign, load_all
from crossmix.ledger.store import Store, StoreAwayError
from serving import fields
from serving.assignment.arms import Experiment
from serving.campaigns import service as campaigns
from serving.feedback import events as feedback
from serving.feedback.cloud_events import FeedbackError, MalformedError
from serving.feedback.events import Receipt
from serving.fields import CampaignError
from serving.http import openapi as described


class Serving(Protocol):
    """What the routes need of the server."""

    @property
    def store(self) -> Store:
        """The database; raises `StoreAwayError`."""

    @property
    def ended_at(self) -> datetime | None:
        """When the experiment ended."""

    @property
    def platforms(self) -> tuple[str, ...]:
        """In slot order."""

    @property
    def experiment(self) -> Experiment:
        """Who is in which arm."""

    @property
    def campaigns(self) -> Mapping[str, Campaign]:
        """As last read."""


def utc_now() -> datetime:
    return datetime.now(UTC)


class _Told(APIRoute):
    """Our own errors as {"error": sentence} with their status."""

    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]
        inner = super().get_route_handler()

        async def handle(request: Request) -> Response:
            try:
                return await inner(request)
            except (CampaignError, FeedbackError) as error:
                return JSONResponse({"error": str(error)}, error.status)
            except StoreAwayError as error:
                return JSONResponse({"error": str(error)}, 503, {"retry-after": "1"})

        return handle


def router(
    live: Serving,
    *,
    changed: Callable[[], Any],
    clock: Callable[[], datetime] = utc_now,
    observed: Callable[[Receipt], Any] | None = None,
) -> APIRouter:
    """The routes.

    Args:
        live: store, platforms, experiment and the campaigns as last read.
        changed: called after each change of a campaign, before it is acknowledged; it reads the campaigns anew.
        clock: the time, UTC.
        observed: called with the receipt of each request of feedback.
    """
    made = APIRouter(route_class=_Told)

    async def change(work: Callable[..., Any], *args: Any) -> Any:
        def both() -> Any:
            result = work(live.store, *args)
            changed()
            return result

        return await run_in_threadpool(both)

    def told(campaign: Campaign) -> dict[str, Any]:
        return {**campaign.as_dict(), "cycle": campaign.cycle(clock())}

    @made.get("/campaigns", tags=["campaigns"], responses=described.answer(described.CAMPAIGNS))
    async def list_campaigns() -> Any:
        """Every campaign, by name."""
        found = live.campaigns
        return JSONResponse({"campaigns": [told(found[name]) for name in sorted(found)]})

    @made.post(
        "/campaigns",
        tags=["campaigns"],
        status_code=201,
        openapi_extra=described.body(described.NEW_CAMPAIGNS),
        responses=described.answer({"anyOf": [described.CAMPAIGN, described.CAMPAIGNS]}, 201),
    )
    async def create(request: Request, why: described.Why = "") -> Any:
        """Add a campaign, or, of an array, all of them or none."""
        raw = await _json(request)
        if isinstance(raw, list):
            rows = await change(campaigns.import_, raw, _who(request), live.platforms, why)
            return JSONResponse({"campaigns": [told(row) for row in rows]}, 201)
        one = await change(campaigns.create, raw, live.platforms, _who(request), why)
        return JSONResponse(told(one), 201)

    @made.post("/campaigns/{campaign_id:path}/pause", tags=["campaigns"], responses=described.ONE)
    async def pause(request: Request, campaign_id: described.Id, why: described.Why = "") -> Any:
        """Stop the campaign's spending."""
        return JSONResponse(told(await change(campaigns.pause, campaign_id, _who(request), why)))

    @made.post("/campaigns/{campaign_id:path}/resume", tags=["campaigns"], responses=described.ONE)
    async def resume(request: Request, campaign_id: described.Id, why: described.Why = "") -> Any:
        """Let it spend again."""
        return JSONResponse(told(await change(campaigns.resume, campaign_id, _who(request), why)))

    @made.put(
        "/campaigns/{campaign_id:path}/override",
        tags=["overrides"],
        openapi_extra=described.body(described.OVERRIDE),
        responses=described.ONE,
    )
    async def override(request: Request, campaign_id: described.Id) -> Any:
        """Put the campaign on its static split (the kill switch) or on a given one, until it is lifted."""
        raw = await _json(request)
        if not isinstance(raw, dict):
            raise CampaignError('override: no object; send {"kind": "static"}')
        for name in raw:
            if name not in ("kind", "share", "why"):
                raise CampaignError(f"override: unknown field {fields.shown(name)}; use kind, share, why")
        why = fields.reason(raw.get("why", ""))
        args = (raw.get("kind"), raw.get("share"), live.platforms, _who(request), why)
        return JSONResponse(told(await change(campaigns.set_override, campaign_id, *args)))

    @made.delete("/campaigns/{campaign_id:path}/override", tags=["overrides"], responses=described.ONE)
    async def lift(request: Request, campaign_id: described.Id, why: described.Why = "") -> Any:
        """Give the campaign back to its policy."""
        return JSONResponse(told(await change(campaigns.lift, campaign_id, _who(request), why)))

    @made.get("/campaigns/{campaign_id:path}", tags=["campaigns"], responses=described.ONE)
    async def get(campaign_id: described.Id) -> Any:
        """One campaign, with the cycle that runs."""
        return JSONResponse(told(campaigns.known(live.campaigns, campaign_id)))

    @made.patch(
        "/campaigns/{campaign_id:path}",
        tags=["campaigns"],
        openapi_extra=described.body(described.EDIT),
        responses=described.ONE,
    )
    async def edit(request: Request, campaign_id: described.Id, why: described.Why = "") -> Any:
        """Change fields: share as a whole, limits by platform and bound (null takes one off)."""
        raw = await _json(request)
        args = (raw, live.platforms, _who(request), why)
        return JSONResponse(told(await change(campaigns.edit, campaign_id, *args)))

    @made.post(
        "/feedback",
        tags=["feedback"],
        openapi_extra=described.feedback_body(),
        responses=described.answer(described.RECEIPT),
    )
    async def take(request: Request) -> Any:
        """Outcomes of delivery: an event, an array of events, or CloudEvents. Acknowledged when on the disk."""
        raws = feedback.parse(await request.body(), request.headers)
        receipt = await run_in_threadpool(_take, live, raws, clock())
        if observed is not None:
            observed(receipt)
        return JSONResponse(receipt.as_dict())

    @made.get("/audit", tags=["audit"], responses=described.answer(described.AUDIT))
    async def trail(
        subject: Annotated[str | None, Query(max_length=200, pattern=r"^[^\x00]*$")] = None,
        limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
    ) -> Any:
        """Who changed what, when, from what to what; the newest first."""
        entries = await run_in_threadpool(lambda: audit.trail(live.store, subject, limit))
        return JSONResponse({"entries": [entry.as_dict() for entry in entries]})

    return made


def _take(live: Serving, raws: list[Any], now: datetime) -> Receipt:
    found = live.campaigns
    names = {raw["campaign_id"] for raw in raws if isinstance(raw, dict) and isinstance(raw.get("campaign_id"), str)}
    if not names <= found.keys():
        found = load_all(live.store)  # a campaign that another replica has just made
    events = feedback.check(raws, found, live.platforms, live.experiment, now, live.ended_at)
    return feedback.ingest(live.store, events, now)


def _who(request: Request) -> str:
    """The token's name, where the server asks for tokens."""
    return str((request.scope.get("state") or {}).get("who") or "local")


async def _json(request: Request) -> Any:
    try:
        return json.loads(await request.body())
    except RecursionError:
        raise MalformedError("body: nested too deep; send what /openapi.json describes") from None
    except ValueError as error:
        raise MalformedError(f"body: not JSON ({str(error)[:120]}); send what /openapi.json describes") from None
