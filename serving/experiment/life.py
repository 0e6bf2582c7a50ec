"""An experiment's life over HTTP: begin, extend, end, ship, archive; and the list of them with each one's verdict.

A step is one transaction with its audit entry; every replica follows within a look at the database. What the state of
an experiment forbids is 409, with what to do instead.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool

from crossmix.ledger import experiments
from crossmix.ledger.experiments import StepError, UnknownExperimentError, VerdictError
from crossmix.ledger.store import StoreAwayError
from serving import fields
from serving.experiment import verdict
from serving.experiment.schema import Extension, NewExperiment
from serving.feedback.cloud_events import MalformedError
from serving.fields import CampaignError
from serving.http import openapi as described
from serving.http.answers import ExperimentAnswer, ExperimentRow, ExperimentRows
from serving.http.resources import _actor as actor
from serving.http.resources import _json as content
from serving.http.writers import BusyError, Writers

Id = Annotated[str, Path(description="the experiment's name", max_length=fields.LONGEST_ID)]
Reason = Annotated[fields.Reason, Query()]
_ROW = described.answer(ExperimentRow)


class _InSentences(APIRoute):
    """Our own errors as {"error": sentence} with their status."""

    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]
        inner = super().get_route_handler()

        async def handle(request: Request) -> Response:
            try:
                return await inner(request)
            except UnknownExperimentError as error:
                return JSONResponse({"error": str(error)}, 404)
            except StepError as error:
                return JSONResponse({"error": str(error)}, 409)
            except VerdictError as error:
                return JSONResponse({"error": str(error)}, 422)
            except (CampaignError, MalformedError) as error:
                return JSONResponse({"error": str(error)}, error.status)
            except (StoreAwayError, BusyError) as error:
                return JSONResponse({"error": str(error)}, 503, {"retry-after": "1"})

        return handle


def router(live: Any, changed: Callable[[], Any]) -> APIRouter:
    """The routes.

    Args:
        live: `store`, `clock` and `config` are read at every request.
        changed: called after each step, before it is acknowledged; it reads the experiment anew.
    """
    routes, writers = APIRouter(route_class=_InSentences, tags=["experiments"]), Writers("experiments")

    async def step(work: Callable[..., experiments.Experiment], *args: Any) -> dict[str, Any]:
        def both() -> experiments.Experiment:
            one = work(live.store, *args)
            changed()
            return one

        return (await writers.run(both)).as_dict()

    @routes.post(
        "/experiments",
        status_code=201,
        openapi_extra=described.body(described.one(NewExperiment)),
        responses=described.answer(ExperimentRow, 201),
    )
    async def begin(request: Request, reason: Reason = "") -> Any:
        """Begin an experiment; the one that runs ends."""
        plan = NewExperiment.read(await content(request)).plan()
        return JSONResponse(await step(experiments.begin, plan, actor(request), reason), 201)

    @routes.post(
        "/experiments/{experiment_id:path}/extend",
        openapi_extra=described.body(described.one(Extension)),
        responses=_ROW,
    )
    async def extend(request: Request, experiment_id: Id, reason: Reason = "") -> Any:
        """Plan more cycles; not after the planned end."""
        days = Extension.read(await content(request)).days
        return JSONResponse(await step(experiments.extend, experiment_id, days, actor(request), reason))

    @routes.post("/experiments/{experiment_id:path}/end", responses=_ROW)
    async def end(request: Request, experiment_id: Id, reason: Reason = "") -> Any:
        """End it, with a reason: everybody gets the static split."""
        return JSONResponse(await step(experiments.finish, experiment_id, reason, actor(request)))

    @routes.post("/experiments/{experiment_id:path}/ship", responses=_ROW)
    async def ship(request: Request, experiment_id: Id, reason: Reason = "") -> Any:
        """The policy serves everybody from now on; one that runs ends with it."""
        return JSONResponse(await step(experiments.ship, experiment_id, actor(request), reason))

    @routes.post("/experiments/{experiment_id:path}/archive", responses=_ROW)
    async def archive(request: Request, experiment_id: Id, reason: Reason = "") -> Any:
        """Take one that is over off the list; its data stay."""
        return JSONResponse(await step(experiments.archive, experiment_id, actor(request), reason))

    _add_reading(routes, live)
    return routes


def _add_reading(routes: APIRouter, live: Any) -> None:
    @routes.get("/experiments", responses=described.answer(ExperimentRows))
    async def list_(archived: Annotated[bool, Query(description="those that were archived too")] = False) -> Any:
        """Every experiment, the newest first."""
        rows = await run_in_threadpool(lambda: experiments.load_all(live.store))
        listed = [one.as_dict() for one in reversed(rows) if archived or one.archived is None]
        return JSONResponse({"experiments": listed})

    @routes.get("/experiments/{experiment_id:path}", responses=described.answer(ExperimentAnswer))
    async def get(experiment_id: Id) -> Any:
        """An experiment's verdict, also of one that is over."""

        def judged() -> dict[str, Any]:
            config = live.config
            return verdict.status(live.store, experiment_id, live.clock(), config.serving.guardrails, config.reward)

        return JSONResponse(await run_in_threadpool(judged))
