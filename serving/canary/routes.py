"""A canary over HTTP: begin, look, end. What its state forbids is 409, with what to do instead."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool

from crossmix.background import sentence
from crossmix.bundle import BundleError
from crossmix.ledger import canaries
from crossmix.ledger.canaries import ENDED, Canary, CanaryError, Plan
from crossmix.ledger.store import StoreAwayError
from crossmix.registry.mlflow_door import RegistryError
from serving import fields
from serving.canary import rail
from serving.canary.schema import CanaryAnswer, CanaryRow, NewCanary
from serving.feedback.cloud_events import MalformedError
from serving.fields import CampaignError
from serving.http import openapi as described
from serving.http.resources import _actor as actor
from serving.http.resources import _json as content
from serving.http.writers import BusyError, Writers

if TYPE_CHECKING:
    from serving.live.live import Live

Reason = Annotated[fields.Reason, Query()]


class RegistryAwayError(RuntimeError):
    """The registry cannot be asked for the version; the message says why."""


class _InSentences(APIRoute):
    """Our own errors as {"error": sentence} with their status."""

    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]
        inner = super().get_route_handler()

        async def handle(request: Request) -> Response:
            try:
                return await inner(request)
            except (CanaryError, BundleError) as error:
                return JSONResponse({"error": str(error)}, 409)
            except RegistryError as error:
                return JSONResponse({"error": f"version: {error}"}, 422)
            except (CampaignError, MalformedError) as error:
                return JSONResponse({"error": str(error)}, error.status)
            except (RegistryAwayError, StoreAwayError, BusyError) as error:
                return JSONResponse({"error": str(error)}, 503, {"retry-after": "1"})

        return handle


def router(live: Live) -> APIRouter:
    """The routes."""
    routes, writers = APIRouter(route_class=_InSentences, tags=["canary"]), Writers("canary")

    @routes.post(
        "/canary",
        status_code=201,
        openapi_extra=described.body(described.one(NewCanary)),
        responses=described.answer(CanaryRow, 201),
    )
    async def begin_(request: Request, reason: Reason = "") -> Any:
        """Try a registered version on a part of the policy's users, from the next cycles on."""
        name = NewCanary.read(await content(request)).version
        row = await writers.run(lambda: begin(live, name, actor(request), reason))
        return JSONResponse(row.as_dict(), 201)

    @routes.post("/canary/end", responses=described.answer(CanaryRow))
    async def end_(request: Request, reason: Reason = "") -> Any:
        """End it, with a reason: the champion serves its users."""
        row = await writers.run(lambda: end(live, actor(request), reason))
        return JSONResponse(row.as_dict())

    @routes.get("/canary", responses=described.answer(CanaryAnswer))
    async def get() -> Any:
        """The newest canary, how it stands against the policy, and those before."""
        return JSONResponse(await run_in_threadpool(status, live))

    return routes


def begin(live: Live, name: str, who: str, reason: str) -> Canary:
    """Fetch and verify the version, then begin; this server has its bundle before anybody is asked for it.

    Raises:
        CanaryError: one runs, the version serves already, or nobody is in the policy.
        BundleError: the version does not verify, or is not this server's.
        RegistryError: it is not registered.
        RegistryAwayError, StoreAwayError: registry or database are away.
    """
    if live.weight("policy") <= 0:
        why = live.snapshot.ended or "its experiment gives the policy none"
        raise CanaryError(f"canary: no user is in the policy's arm ({why}); begin an experiment first")
    try:
        version, bundle = live.trial.fetch(name)
    except (BundleError, RegistryError):
        raise
    except Exception as error:  # MLflow's stores raise their own kinds each
        raise RegistryAwayError(f"registry: {sentence(error)}") from error
    settings = live.config.serving.canary
    plan = Plan(
        version.number, bundle.digest, live.version, settings.steps, settings.cycles, settings.roi_drop,
        settings.false_stops,
    )  # fmt: skip
    row = canaries.begin(live.store, plan, who, reason)
    live.reload()
    return row


def end(live: Live, who: str, reason: str) -> Canary:
    """End the canary that runs; raises `CanaryError` where none does, `StoreAwayError`."""
    rows = canaries.load_all(live.store)
    if not rows or rows[-1].ended is not None:
        raise CanaryError("canary: none runs; `crossmix canary begin` begins one")
    if not canaries.end(live.store, rows[-1], ENDED, reason, who):
        raise CanaryError("canary: it has just ended; `crossmix canary status` says why")
    live.reload()
    return canaries.load_all(live.store)[-1]


def status(live: Live) -> dict[str, Any]:
    """As the route answers; raises `StoreAwayError`."""
    rows = canaries.load_all(live.store)
    if not rows:
        return {"canary": None, "standing": None, "earlier": []}
    *earlier, newest = rows
    stands = rail.standing(live.store, newest, live.clock()).as_dict()
    return {"canary": newest.as_dict(), "standing": stands, "earlier": [one.as_dict() for one in reversed(earlier)]}
