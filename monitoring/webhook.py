"""The webhook: takes signed alerts and Alertmanager's, keeps each once, and opens the re-adaptations they ask for.

The order of a request's checks: size, media type, signature, window, then one transaction.

| answer | of |
|---|---|
| 202 | an alert that is new: it opened a run, or was noted |
| 200 | one that changes nothing, with the reason: a duplicate, a run that is open, the cooldown (market time) |
| 400 | a header, base64 or body that is not of its form |
| 401 | a signature or token that is missing or wrong; a time outside of the window (wall time) |
| 408 | a body that does not come |
| 413, 415 | a body that is too large; another media type |
| 429 | too many of our own senders' alerts, with Retry-After; never Alertmanager's |
| 503 | the database is away or too much waits for it, with Retry-After: nothing was kept |
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from crossmix.clock import Clock, wall
from crossmix.config import Webhook
from crossmix.ledger import alerts as ledger
from crossmix.ledger import runs
from crossmix.ledger.alerts import Notice, Receipt
from crossmix.ledger.store import Store, StoreAwayError
from crossmix.listening import names_this_machine
from monitoring import alertmanager, metrics, signed
from monitoring.alerts import MEDIA, AlertError, json_of, notice_of
from monitoring.keys import Secrets, knows

_log = logging.getLogger(__name__)
BODY_SECONDS = 30.0
"""In which a body must have come."""
RETRY = {"retry-after": "5"}
REASONS = {
    ledger.DUPLICATE: "this alert was taken before",
    ledger.OPEN: "a run is open, and runs are of all campaigns",
    ledger.COOLDOWN: "the last run is too young (alerts.webhook.cooldown), and runs are of all campaigns",
    ledger.NOTED: "its severity asks for no run (alerts.webhook.starts)",
}
NEW = (ledger.RUN, ledger.NOTED)


class RefusedError(Exception):
    """A request that is answered with a status and a sentence."""

    def __init__(self, status: int, sentence: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(sentence)
        self.status, self.headers = status, dict(headers or {})


class Bucket:
    """A bound on how many pass per minute; as many may come at once. `monotonic`: seconds."""

    def __init__(self, per_minute: int, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._most, self._rate, self._monotonic = float(per_minute), per_minute / 60, monotonic
        self._left, self._at, self._lock = self._most, monotonic(), threading.Lock()

    def wait(self) -> float:
        """0: one passes; else the seconds until one would."""
        with self._lock:
            now = self._monotonic()
            self._left = min(self._most, self._left + (now - self._at) * self._rate)
            self._at = now
            if self._left >= 1:
                self._left -= 1
                return 0.0
            return (1 - self._left) / self._rate


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """What the webhook works with."""

    store: Callable[[], Store]
    """The ledger; it may raise `StoreAwayError`."""
    settings: Webhook
    keys: Secrets[bytes]
    tokens: Secrets[str]
    """Of Alertmanager and of who reads; may be none."""
    opened: Callable[[], object]
    """Called after an answer that opened a run."""
    troubles: Callable[[], Sequence[Mapping[str, str]]] = tuple
    """What is away or missing, from memory."""
    now: Clock = wall
    """Wall time, UTC."""
    monotonic: Callable[[], float] = time.monotonic

    def accept(self, notices: Sequence[Notice]) -> list[Receipt]:
        """One transaction; raises `StoreAwayError`."""
        cooldown = timedelta(hours=self.settings.cooldown)
        receipts = ledger.accept(self.store(), notices, starts=self.settings.starts, cooldown=cooldown, now=self.now())
        for notice, receipt in zip(notices, receipts, strict=True):
            metrics.ACCEPTED.labels(notice.sender, receipt.outcome).inc()
            _log.info("alert %s of %s: %s", notice.alert_id, notice.campaign_id, receipt.outcome)
        return receipts


def application(intake: Intake) -> FastAPI:
    """The ASGI application."""
    app = FastAPI(title="crossmix webhook", docs_url=None, redoc_url=None, openapi_url=None)
    doors = _Doors(intake)

    async def refused(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RefusedError)
        return _answer(request, error.status, {"error": str(error)}, error.headers)

    async def away(request: Request, error: Exception) -> JSONResponse:
        return _answer(request, 503, {"error": str(error)}, RETRY)

    async def http(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        return _answer(request, error.status_code, {"error": str(error.detail)}, dict(error.headers or {}))

    async def fault(request: Request, error: Exception) -> JSONResponse:
        _log.error("%s failed", request.url.path, exc_info=error)
        return _answer(request, 500, {"error": "the webhook failed; its log has the cause"})

    app.add_exception_handler(RefusedError, refused)
    app.add_exception_handler(StoreAwayError, away)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(Exception, fault)
    app.add_api_route("/alerts", doors.signed, methods=["POST"], response_model=None)
    app.add_api_route("/alertmanager", doors.alertmanager, methods=["POST"], response_model=None)
    app.add_api_route("/alerts", doors.alerts, methods=["GET"], response_model=None)
    app.add_api_route("/runs", doors.runs, methods=["GET"], response_model=None)
    app.add_api_route("/metrics", doors.metrics, methods=["GET"], response_model=None)
    app.add_api_route("/healthz", doors.healthz, methods=["GET"], response_model=None)
    return app


class _Doors:
    """The routes."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._bucket = Bucket(intake.settings.per_minute, intake.monotonic)
        self._waiting = 0

    async def signed(self, request: Request) -> JSONResponse:
        """An alert of our own senders: a structured CloudEvent under a Standard Webhooks signature."""
        body = await _body(request, self._intake.settings.largest_body)
        _media(request, MEDIA)
        try:
            signed.verify(self._intake.keys(), _pairs(request), body, self._intake.now().timestamp())
        except signed.SignatureError as error:
            raise RefusedError(401, str(error)) from None
        except signed.MalformedError as error:
            raise RefusedError(400, str(error)) from None
        pause = self._bucket.wait()
        if pause:
            after = {"retry-after": str(max(1, round(pause + 0.5)))}
            raise RefusedError(429, "too many alerts (alerts.webhook.per_minute); come again later", after)
        (receipt,) = await self._kept([_read(lambda: notice_of(json_of(body)))])
        return self._told(request, [receipt], _one(receipt))

    async def alertmanager(self, request: Request) -> JSONResponse:
        """A group of Alertmanager's, of which the firing ones count."""
        body = await _body(request, self._intake.settings.largest_body)
        _media(request, "application/json")
        tokens = self._intake.tokens()
        if not tokens:
            raise RefusedError(401, "authorization: no token is configured here; set alerts.webhook.bearer_file")
        _authorised(request, tokens)
        notices, resolved = _read(lambda: alertmanager.notices_of(json_of(body)))
        receipts = await self._kept(notices) if notices else []
        told = {"alerts": [_one(receipt) for receipt in receipts], "resolved": resolved}
        return self._told(request, receipts, told)

    async def alerts(self, request: Request) -> JSONResponse:
        """The newest alerts, raised here or accepted here."""
        return await self._listed(request, "alerts", lambda store: [one.as_dict() for one in ledger.newest(store)])

    async def runs(self, request: Request) -> JSONResponse:
        """The newest runs."""
        return await self._listed(request, "runs", lambda store: [one.as_dict() for one in runs.newest(store)])

    async def metrics(self, request: Request) -> Any:
        """Prometheus metrics."""
        self._reader(request)
        return Response(await run_in_threadpool(generate_latest), media_type=CONTENT_TYPE_LATEST)

    async def healthz(self, request: Request) -> JSONResponse:
        """The process answers; from memory."""
        return _answer(request, 200, {"status": "alive", "degraded": [dict(one) for one in self._intake.troubles()]})

    async def _listed(self, request: Request, name: str, rows: Callable[[Store], list[dict[str, Any]]]) -> JSONResponse:
        self._reader(request)
        return _answer(request, 200, {name: await run_in_threadpool(lambda: rows(self._intake.store()))})

    def _reader(self, request: Request) -> None:
        """Who reads has a token; where there is none, is on this machine."""
        tokens = self._intake.tokens()
        if tokens:
            _authorised(request, tokens)
        elif not all(names_this_machine(value) for value in request.headers.getlist("host")):
            raise RefusedError(403, "host: without tokens this webhook is read on its own machine only, as localhost")

    async def _kept(self, notices: Sequence[Notice]) -> list[Receipt]:
        if self._waiting >= self._intake.settings.waiting:
            raise RefusedError(503, f"{self._waiting} requests wait for the database; come again later", RETRY)
        self._waiting += 1
        try:
            return await run_in_threadpool(self._intake.accept, notices)
        finally:
            self._waiting -= 1

    def _told(self, request: Request, receipts: Sequence[Receipt], content: Mapping[str, Any]) -> JSONResponse:
        answer = _answer(request, 202 if any(one.outcome in NEW for one in receipts) else 200, content)
        if any(one.outcome == ledger.RUN for one in receipts):
            answer.background = BackgroundTask(self._intake.opened)
        return answer


def _one(receipt: Receipt) -> dict[str, Any]:
    return {"outcome": receipt.outcome, "run_id": receipt.run_id, "reason": REASONS.get(receipt.outcome)}


def _read(work: Callable[[], Any]) -> Any:
    try:
        return work()
    except AlertError as error:
        raise RefusedError(400, str(error)) from None


async def _body(request: Request, largest: int) -> bytes:
    """The body, once it is all here and within the bound."""
    sentence = f"body: larger than {largest} bytes; send less, or raise alerts.webhook.largest_body"
    told = request.headers.get("content-length", "")
    if told.isascii() and told.isdigit() and (len(told) > 18 or int(told) > largest):
        raise RefusedError(413, sentence)
    pieces, size = [], 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for piece in request.stream():
                size += len(piece)
                if size > largest:
                    raise RefusedError(413, sentence)
                pieces.append(piece)
    except TimeoutError:
        raise RefusedError(408, f"body: not all of it came within {BODY_SECONDS:g} s; send it again") from None
    except ClientDisconnect:
        raise RefusedError(400, "body: cut off; send it again") from None
    return b"".join(pieces)


def _media(request: Request, wanted: str) -> None:
    """Raises 415."""
    sent = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if sent != wanted:
        raise RefusedError(415, f"content-type: send {wanted}")
    if request.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        raise RefusedError(415, "content-encoding: send the plain body", {"accept-encoding": "identity"})


def _authorised(request: Request, tokens: tuple[str, ...]) -> None:
    """Raises 401."""
    sent = request.headers.getlist("authorization")
    scheme, _, token = (sent[0] if len(sent) == 1 else "").partition(" ")
    if scheme.lower() != "bearer" or not knows(tokens, token.strip()):
        challenge = {"www-authenticate": 'Bearer realm="crossmix"'}
        raise RefusedError(401, "authorization: no token that is known here; send Bearer TOKEN", challenge)


def _pairs(request: Request) -> list[tuple[str, str]]:
    return [(key.decode("latin-1"), value.decode("latin-1")) for key, value in request.headers.raw]


def _answer(
    request: Request, status: int, content: Mapping[str, Any], headers: Mapping[str, str] | None = None
) -> JSONResponse:
    # A path that anybody may invent must not become a series.
    path = request.scope["path"] if request.scope.get("route") is not None else "unmatched"
    metrics.ANSWERS.labels(path, status).inc()
    return JSONResponse(content, status, dict(headers or {}))
