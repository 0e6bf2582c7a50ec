"""The V1 protocol's prediction route for plain JSON, which KServe's takes through FastAPI's dependencies.

A CloudEvent goes KServe's own way; both end in the same models with the same answers (`tests/service/test_server.py`).
"""

from __future__ import annotations

from typing import Any

from kserve.errors import InvalidInput
from kserve.protocol.rest.v1_endpoints import V1Endpoints
from kserve.utils.utils import is_structured_cloudevent
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from serving.allocation.question import QuestionError
from serving.protocol.predictor import is_cloud_event, plain

PATH = "/v1/models/{model_name}:predict"


def route(plane: Any) -> Route:
    """POST /v1/models/{model_name}:predict over a KServe data plane; to stand before KServe's, which documents it."""
    return Route(PATH, _Predict(plane), methods=["POST"])


class _Predict:
    """The route's ASGI application."""

    path = PATH
    """As the scope's route, for logs and metrics."""

    def __init__(self, plane: Any) -> None:
        self.plane, self.theirs = plane, V1Endpoints(plane)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        scope["route"] = self
        response = await self._answer(Request(scope, receive))
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        name, headers = request.path_params["model_name"], dict(request.headers.items())
        model = await self.plane.get_model(name)
        body: Any = await request.body()
        if not is_cloud_event(headers):
            try:
                body = plain(body)
            except QuestionError as error:
                raise InvalidInput(str(error)) from None
            if not (isinstance(body, dict) and is_structured_cloudevent(body)):
                answer, answer_headers = await model(body, headers=headers)
                return Response(answer, headers=answer_headers)
        answered: Response = await self.theirs.predict(name, request)
        return answered
