"""What goes wrong, as an answer: one JSON object with one sentence, never a traceback.

400 a body that cannot be read or a question that cannot be answered, 404 nothing at the address, 422 a field that does
not fit, 503 with Retry-After what is away for now, 500 a fault of the server, told by the request's id.
"""

from __future__ import annotations

import logging
from typing import Any

from serving.fields import shown

_log = logging.getLogger(__name__)
RETRY = {"retry-after": "1"}


def install(app: Any) -> None:
    """Give the application the handlers."""
    from fastapi import Request
    from fastapi.exceptions import RequestValidationError, ResponseValidationError
    from fastapi.responses import JSONResponse
    from kserve import errors as kserve
    from starlette.exceptions import HTTPException

    from crossmix.ledger.store import StoreAwayError
    from serving.http.ticking import BusyTickError
    from serving.kinds.answering import BusyError
    from serving.kinds.champion import NoChampionError
    from serving.protocol.router import PredictorAwayError

    def answer(status: int, sentence: str, headers: dict[str, str] | None = None) -> JSONResponse:
        return JSONResponse({"error": sentence}, status, headers)

    async def invalid(_: Request, error: Exception) -> JSONResponse:
        return answer(400, str(error))

    async def unknown(_: Request, error: Exception) -> JSONResponse:
        return answer(404, str(error))

    async def away(_: Request, error: Exception) -> JSONResponse:
        return answer(503, str(error), RETRY)

    async def missing(_: Request, error: Exception) -> JSONResponse:
        return answer(501, str(error) or "not implemented")

    async def http(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        return answer(error.status_code, str(error.detail), dict(error.headers or {}))

    async def field(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        if first["type"] == "json_invalid":
            return answer(400, f"{where}: {first['msg']}; send what /openapi.json describes")
        remedy = first["msg"] if first["type"] == "refused" else f"{first['msg']}; send what /openapi.json describes"
        return answer(422, f"{where}: {shown(first.get('input'))}; {remedy}")

    async def fault(request: Request, error: Exception) -> JSONResponse:
        number = request.scope.get("state", {}).get("request_id", "unknown")
        _log.error("request %s failed", number, exc_info=error)
        return answer(500, f"the server failed; its log has the cause under request id {number}")

    for kind, handler in (
        (kserve.InvalidInput, invalid),
        (kserve.ModelNotFound, unknown),
        (kserve.ModelNotReady, away),
        (kserve.ServerNotReady, away),
        (kserve.ServerNotLive, away),
        (kserve.UnsupportedProtocol, missing),
        (NotImplementedError, missing),
        (StoreAwayError, away),
        (BusyTickError, away),
        (PredictorAwayError, away),
        (NoChampionError, away),
        (BusyError, away),
        (HTTPException, http),
        (RequestValidationError, field),
        (ResponseValidationError, fault),
        (kserve.InferenceError, fault),
        (Exception, fault),
    ):
        app.add_exception_handler(kind, handler)


def grpc_interceptor() -> Any:
    """An interceptor of grpc.aio that answers errors with their status."""
    from grpc import StatusCode
    from grpc_interceptor import AsyncExceptionToStatusInterceptor
    from kserve import errors as kserve

    from crossmix.ledger.store import StoreAwayError
    from serving.kinds.answering import BusyError
    from serving.kinds.champion import NoChampionError
    from serving.protocol.router import PredictorAwayError

    away = kserve.ModelNotReady | StoreAwayError | PredictorAwayError | NoChampionError | BusyError

    class Told(AsyncExceptionToStatusInterceptor):
        async def handle_exception(  # type: ignore[override]  # abort never returns, but does not say so
            self, ex: Exception, request_or_iterator: Any, context: Any, method_name: str
        ) -> None:
            if isinstance(ex, kserve.InvalidInput):
                await context.abort(StatusCode.INVALID_ARGUMENT, str(ex))
            elif isinstance(ex, kserve.ModelNotFound):
                await context.abort(StatusCode.NOT_FOUND, str(ex))
            elif isinstance(ex, NotImplementedError):
                await context.abort(StatusCode.UNIMPLEMENTED, str(ex) or "not implemented")
            elif isinstance(ex, away):
                await context.abort(StatusCode.UNAVAILABLE, str(ex))
            else:
                _log.error("%s failed", method_name, exc_info=ex)
                await context.abort(StatusCode.INTERNAL, "the server failed; its log has the cause")

    return Told()
