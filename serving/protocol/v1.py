"""The V1 protocol's prediction route, and its liveness at `/`.

KServe's own takes plain JSON through FastAPI's dependencies, and of CloudEvents 1.0 what has a time and a plain content
type. A CloudEvent is answered as one, by KServe's own writer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kserve.errors import InvalidInput
from kserve.utils.utils import is_structured_cloudevent
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Match, Route

from serving.allocation.question import QuestionError
from serving.http import bodies
from serving.http.access import for_people
from serving.protocol.predictor import plain

PATH = "/v1/models/{model_name}:predict"


def route(plane: Any) -> Route:
    """POST /v1/models/{model_name}:predict over a KServe data plane; to stand before KServe's, which documents it."""
    return Route(PATH, _Predict(plane), methods=["POST"])


class Alive(Route):
    """GET / for whoever does not ask for a page: `{"status": "alive"}`, as KServe's V1 clients look for it there."""

    def __init__(self) -> None:
        async def alive(_: Request) -> Response:
            return JSONResponse({"status": "alive"}, headers={"vary": "accept", "cache-control": "no-store"})

        super().__init__("/", alive, methods=["GET"], include_in_schema=False)

    def matches(self, scope: Any) -> tuple[Match, Any]:
        """As the route's, but for people."""
        if scope["type"] == "http" and for_people(scope["headers"]):
            return Match.NONE, {}
        return super().matches(scope)


class _Predict:
    """The route's ASGI application."""

    path = PATH
    """As the scope's route, for logs and metrics."""

    def __init__(self, plane: Any) -> None:
        self.plane = plane

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        scope["route"] = self
        response = await self._answer(Request(scope, receive))
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        name, headers = request.path_params["model_name"], dict(request.headers.items())
        model = await self.plane.get_model(name)
        try:
            question, attributes = _read(await request.body(), headers)
        except (QuestionError, bodies.UnreadableError) as error:
            raise InvalidInput(str(error)) from None
        answer, answer_headers = await model(question, headers=headers)
        if isinstance(answer, bytes):
            return Response(answer, headers=answer_headers)
        content, more = self.plane.encode(name, answer, headers, attributes)
        return Response(content, headers=more | answer_headers)


def _read(body: bytes, headers: dict[str, str]) -> tuple[Any, dict[str, Any]]:
    """A V1 body and, of a CloudEvent, its attributes.

    Args:
        headers: as received; a structured event's content type is left without its parameters.

    Raises:
        QuestionError, UnreadableError: no JSON, or a CloudEvent that is none.
    """
    if "ce-specversion" in headers:
        return bodies.json_of(body), _complete(bodies.binary_attributes(headers))
    content, structured = plain(body), bodies.kind(headers) == bodies.STRUCTURED
    if structured:
        headers["content-type"] = bodies.STRUCTURED
    elif not (isinstance(content, dict) and is_structured_cloudevent(content)):
        return content, {}
    if not isinstance(content, dict):
        raise QuestionError("body: no CloudEvent; send an object, or content type application/json")
    attributes = bodies.with_data(content, "body")
    return attributes.pop("data", None), _complete(attributes)


def _complete(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes of a CloudEvent; raises `QuestionError` where it has not those that each has."""
    for name in bodies.REQUIRED:
        if not isinstance(attributes.get(name), str) or not attributes[name]:
            raise QuestionError(f"{name}: missing; a CloudEvent has {', '.join(bodies.REQUIRED)}, each a text")
    return {"time": "", **attributes}  # KServe's writer takes a time away
