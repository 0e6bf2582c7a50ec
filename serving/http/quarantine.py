"""Cells of feedback that are not believed, over HTTP: which, why, and a person's decision."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool

from crossmix.ledger import quarantine
from crossmix.ledger.store import StoreAwayError
from serving.feedback.cloud_events import MalformedError
from serving.feedback.decision import Decision
from serving.fields import LONGEST_ID, CampaignError
from serving.http import openapi as described
from serving.http.answers import QuarantineAnswer
from serving.http.resources import _actor, _json
from serving.http.writers import BusyError, Writers

MOST = 10_000
"""Cells of an answer: the newest."""


class _InSentences(APIRoute):
    """Our own errors as {"error": sentence} with their status."""

    def get_route_handler(self) -> Callable[[Request], Any]:
        inner = super().get_route_handler()

        async def handle(request: Request) -> Response:
            try:
                return await inner(request)
            except (CampaignError, MalformedError) as error:
                return JSONResponse({"error": str(error)}, error.status)
            except (StoreAwayError, BusyError) as error:
                return JSONResponse({"error": str(error)}, 503, {"retry-after": "1"})

        return handle


def router(live: Any) -> APIRouter:
    """The routes.

    Args:
        live: `store`, `clock`, `campaigns` and `platforms` are read at every request.
    """
    routes, writers = APIRouter(route_class=_InSentences, tags=["feedback"]), Writers("quarantine")

    @routes.get("/quarantine", responses=described.answer(QuarantineAnswer))
    async def listed(
        campaign: Annotated[str | None, Query(max_length=LONGEST_ID, pattern=r"^[^\x00]*$")] = None,
        state: Annotated[Literal["held", "confirmed", "discarded"] | None, Query()] = None,
    ) -> Any:
        """Cells of feedback that are or were not believed, by campaign, arm, platform and cycle."""
        names, states = None if campaign is None else [campaign], None if state is None else [state]
        return _shown(await run_in_threadpool(lambda: quarantine.read(live.store, names, states)))

    @routes.post(
        "/quarantine",
        openapi_extra=described.body(described.one(Decision)),
        responses=described.answer(QuarantineAnswer),
    )
    async def decide(request: Request) -> Any:
        """Believe held cells of a campaign from now on, or leave them unknown for good. Answers the cells decided."""
        one = Decision.read(await _json(request))
        if one.platform is not None and one.platform not in live.platforms:
            raise CampaignError(f"platform: {one.platform!r} is unknown; use {', '.join(live.platforms)}")
        return _shown(await writers.run(lambda: decided(live, one, _actor(request))))

    return routes


def decided(live: Any, one: Decision, actor: str) -> list[quarantine.Entry]:
    """The cells as they are by a person's decision.

    Raises:
        CampaignError: there are none such.
        StoreAwayError: the database is away.
    """
    entries = quarantine.decide(
        live.store,
        one.campaign_id,
        one.state,
        actor,
        one.reason,
        live.clock(),
        arm=one.arm,
        platform=one.platform,
        cycles=one.cycles,
        again=one.again,
    )
    if not entries:
        raise NothingHeldError(
            f"campaign_id: nothing of {one.campaign_id!r} is held that this could be said of; "
            "crossmix guard list shows what is held"
        )
    return entries


class NothingHeldError(CampaignError):
    """There is nothing to decide."""

    status = 404


def _shown(entries: list[quarantine.Entry]) -> Response:
    return JSONResponse({"cells": [one.as_dict() for one in entries[-MOST:]]})
