"""GET /experiment, a page, and GET /experiment.json: the verdict of the newest experiment, or of an earlier one."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse, JSONResponse, Response

from crossmix.ledger import experiments
from crossmix.ledger.experiments import VerdictError
from crossmix.ledger.store import StoreAwayError
from serving.experiment import verdict
from serving.experiment.standing import Keeper, keeper_of
from serving.http.answers import Error, ExperimentAnswer

OfCampaign = Annotated[str | None, Query(max_length=200, description="Everything of this campaign alone.")]
Which = Annotated[str | None, Query(max_length=200, description="Id of an experiment; absent: the newest.")]
Page = Annotated[int, Query(ge=1, le=1_000_000, description="Of the campaigns' results, 50 to a page.")]


def router(live: Any, keeper: Keeper | None = None) -> APIRouter:
    """Routes over `live`, whose verdicts `keeper` keeps; its own if `None`."""
    routes, kept = APIRouter(), keeper or keeper_of(live)

    def answered(as_page: bool, campaign: str | None, page: int, experiment: str | None) -> Response:
        try:
            whole = campaign is None and page == 1 and experiment is None
            standing = (kept.get() if whole else kept.get(campaign, page, experiment)).plain()
            if as_page:
                return HTMLResponse(verdict.render(standing, experiments.load_all(live.store)))
        except VerdictError as error:
            return JSONResponse({"error": str(error)}, 404)
        except StoreAwayError as error:
            return JSONResponse({"error": str(error)}, 503, {"Retry-After": "1"})
        return JSONResponse(standing)

    @routes.get("/experiment", response_class=HTMLResponse, summary="The experiment's verdict, for people")
    def page(campaign: OfCampaign = None, page: Page = 1, experiment: Which = None) -> Response:
        return answered(True, campaign, page, experiment)

    @routes.get(
        "/experiment.json",
        summary="The experiment's verdict",
        responses={200: {"model": ExperimentAnswer}, 404: {"model": Error}, 503: {"model": Error}},
    )
    def plain(campaign: OfCampaign = None, page: Page = 1, experiment: Which = None) -> Response:
        return answered(False, campaign, page, experiment)

    return routes
