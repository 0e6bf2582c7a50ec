"""GET /experiment, a page, and GET /experiment.json: the running experiment's verdict."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, JSONResponse, Response

from crossmix.ledger.experiments import VerdictError
from crossmix.ledger.store import StoreAwayError
from serving.experiment import verdict
from serving.http.answers import Error, ExperimentAnswer


def router(live: Any) -> APIRouter:
    """Routes over `live`, of which `store`, `experiment`, `config` and `clock` are read at every request."""
    routes = APIRouter()

    def answered(as_page: bool) -> Response:
        try:
            config = live.config
            standing = verdict.status(
                live.store, live.experiment.id, live.clock(), config.serving.guardrails, config.reward
            )
        except VerdictError as error:
            return JSONResponse({"error": str(error)}, 404)
        except StoreAwayError as error:
            return JSONResponse({"error": str(error)}, 503, {"Retry-After": "1"})
        return HTMLResponse(verdict.render(standing)) if as_page else JSONResponse(standing)

    @routes.get("/experiment", response_class=HTMLResponse, summary="The experiment's verdict, for people")
    def page() -> Response:
        return answered(as_page=True)

    @routes.get(
        "/experiment.json",
        summary="The experiment's verdict",
        responses={200: {"model": ExperimentAnswer}, 404: {"model": Error}, 503: {"model": Error}},
    )
    def plain() -> Response:
        return answered(as_page=False)

    return routes
