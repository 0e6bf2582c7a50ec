"""What a server tells about itself: request ids, a log line per request, Prometheus metrics, body limit.

A user's id never gets into a log line or a metric: a line has the route's template, not the path or the body.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import re
import secrets
import sys
import time
import weakref
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import orjson
from prometheus_client import REGISTRY, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily

from crossmix.background import FINISHED, Loop
from serving.http import logs

if TYPE_CHECKING:
    from serving.feedback.events import Receipt
    from serving.live.live import Live

_log = logging.getLogger(__name__)
UNMATCHED = "unmatched"
"""The route of a request that none takes: paths that anybody may invent must not become series."""
CANCELLED = 499
LAG_SECONDS = 5.0
"""How often the feedback's lag is read, for the scrapes until then."""
_START, _COUNT = secrets.token_hex(4), itertools.count(1)
"""A request's id: of the process, and its number there."""
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:-]{1,128}")
_BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)

REQUESTS = Histogram("crossmix_request_seconds", "Time of a request.", ["route", "status"], buckets=_BUCKETS)
ALLOCATIONS = Counter("crossmix_allocations_total", "Splits answered.", ["arm", "campaign"])
DEGRADED = Counter("crossmix_degraded_total", "Splits answered while something was away.", ["cause"])
FEEDBACK = Counter(
    "crossmix_feedback_events_total",
    "Events of feedback; late ones are accepted too, conflicts and refused ones do not count.",
    ["outcome"],
)


class Observe:
    """ASGI middleware, the outermost.

    Args:
        largest_body: bytes; a larger one is answered 413 as soon as that is known, and not kept.
    """

    def __init__(self, app: Any, largest_body: int) -> None:
        self.app, self.largest_body = app, largest_body

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = time.perf_counter()
        number, length = _head(scope["headers"])
        state = scope.setdefault("state", {})
        state["request_id"] = number
        answer = _Answer(send, number)
        try:
            if length is not None and length > self.largest_body:
                await answer.error(413, self._too_large())
            elif length is not None:
                await self.app(scope, receive, answer.send)
            else:
                await self.app(scope, self._counted(receive, answer), answer.send)
        except Exception as error:
            if answer.closed:  # the application's own trouble with a body that was refused
                return
            _log.error("request %s failed", number, exc_info=error)
            if answer.status is not None:
                raise
            await answer.error(500, f"the server failed; its log has the cause under request id {number}")
        finally:
            self._note(scope, state, answer.status or CANCELLED, time.perf_counter() - began)

    def _counted(self, receive: Any, answer: _Answer) -> Any:
        """`receive` for a body of unknown length: once it is too large it is refused, and the application hears that
        the client is gone."""
        received = 0

        async def counted() -> Any:
            nonlocal received
            if answer.closed:
                return {"type": "http.disconnect"}
            message = await receive()
            if message["type"] == "http.request":
                received += len(message.get("body", b""))
                if received > self.largest_body:
                    await answer.error(413, self._too_large())
                    return {"type": "http.disconnect"}
            return message

        return counted

    def _too_large(self) -> str:
        return f"body: larger than {self.largest_body} bytes; send less at a time, or raise serving.largest_body"

    def _note(self, scope: Any, state: Mapping[str, Any], status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", UNMATCHED)
        _noted(scope["method"], route, status, seconds, state["request_id"], state.get("actor"))


_series: dict[tuple[str, int | str], Any] = {}


def _noted(method: str, route: str, status: int | str, seconds: float, number: str, actor: str | None) -> None:
    """A request into the histogram, and as a line into the log."""
    series = _series.get((route, status))
    if series is None:
        series = _series[route, status] = REQUESTS.labels(route, status)
    series.observe(seconds)
    logs.request(method=method, route=route, status=status, ms=round(seconds * 1e3, 3), request_id=number, who=actor)


def grpc_interceptor(known: Container[str], caller: Callable[[], str | None]) -> Any:
    """An interceptor of grpc.aio, the outermost: what `Observe` does, with the status by its gRPC name.

    The request's id comes and goes as metadata `x-request-id`.

    Args:
        known: methods by their short name; others count as `UNMATCHED`.
        caller: the name of the token of the call under way.
    """
    import grpc

    class Observed(grpc.aio.ServerInterceptor):  # type: ignore[misc]
        async def intercept_service(self, continuation: Any, details: Any) -> Any:
            handler = await continuation(details)
            if handler is None or handler.unary_unary is None:
                return handler
            route = details.method if details.method.rpartition("/")[2] in known else UNMATCHED
            sent = [value for key, value in details.invocation_metadata or () if key == "x-request-id"]
            number, _ = _head([(b"x-request-id", value.encode()) for value in sent if isinstance(value, str)])

            async def observed(request: Any, context: Any) -> Any:
                began, status = time.perf_counter(), "UNKNOWN"
                try:
                    await context.send_initial_metadata((("x-request-id", number),))
                    answer = await handler.unary_unary(request, context)
                    status = "OK"
                    return answer
                except asyncio.CancelledError:
                    status = "CANCELLED"
                    raise
                except BaseException:
                    code = context.code()
                    status = getattr(code, "name", status)
                    raise
                finally:
                    _noted("gRPC", route, status, time.perf_counter() - began, number, caller())

            return grpc.unary_unary_rpc_method_handler(
                observed, handler.request_deserializer, handler.response_serializer
            )

    return Observed()


class _Answer:
    """`send` that adds the request's id and remembers the status; closed, it drops what still comes."""

    __slots__ = ("_header", "_send", "closed", "status")

    def __init__(self, send: Any, number: str) -> None:
        self._send, self._header = send, (b"x-request-id", number.encode())
        self.status: int | None = None
        self.closed = False

    async def send(self, message: Any) -> None:
        if self.closed:
            return
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message = {**message, "headers": [*message.get("headers", ()), self._header]}
        await self._send(message)

    async def error(self, status: int, sentence: str) -> None:
        """Answer with a sentence, if nothing was answered before; then close."""
        if self.status is None:
            body = orjson.dumps({"error": sentence})
            headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
            await self.send({"type": "http.response.start", "status": status, "headers": headers})
            await self.send({"type": "http.response.body", "body": body})
        self.closed = True


def _head(headers: Iterable[tuple[bytes, bytes]]) -> tuple[str, int | None]:
    """The request's id, made if none fit came with it, and the body's length if that is told."""
    number, length = None, None
    for key, value in headers:
        if key == b"x-request-id":
            if _REQUEST_ID.fullmatch(value):
                number = value.decode()
        elif key == b"content-length" and value.isdigit():
            length = int(value) if len(value) <= 18 else sys.maxsize
    return number or f"{_START}{next(_COUNT):08x}", length


_allocated: dict[tuple[str, str], Any] = {}


def answered(predictions: Sequence[Mapping[str, Any]]) -> None:
    """Count the predictions of a request."""
    for one in predictions:
        key = one["arm"], one["campaign_id"]
        if key not in _allocated:
            _allocated[key] = ALLOCATIONS.labels(*key)
        _allocated[key].inc()
        for trouble in one["degraded"]:
            DEGRADED.labels(trouble["what"]).inc()


def fed(receipt: Receipt) -> None:
    """Count the events of a request of feedback."""
    for outcome, number in (
        ("accepted", receipt.accepted),
        ("duplicate", receipt.duplicates),
        ("late", receipt.late),
        ("conflict", len(receipt.conflicts)),
        ("refused", len(receipt.refused)),
    ):
        FEEDBACK.labels(outcome).inc(number)


class _Now:
    """What is read when somebody scrapes: from memory, so that no scrape waits for the database."""

    def __init__(self) -> None:
        self.live: Any = lambda: None
        self.lags: list[tuple[str, str, float]] = []

    def collect(self) -> Iterable[Any]:
        bundle = GaugeMetricFamily("crossmix_bundle_info", "The bundle that serves.", labels=["version", "digest"])
        away = GaugeMetricFamily("crossmix_away", "1 while it is away or refused.", labels=["what"])
        lag = GaugeMetricFamily(
            "crossmix_feedback_lag_seconds",
            "Since the newest cycle in the feature store ended; a running campaign's is up to a cycle plus seconds.",
            labels=["campaign", "arm"],
        )
        live = self.live()
        if live is not None:
            bundle.add_metric([str(live.version or ""), live.bundle.digest], 1)
            for trouble in live.troubles():
                away.add_metric([trouble["what"]], 1)
            for campaign, arm, seconds in self.lags:
                lag.add_metric([campaign, arm], seconds)
        return bundle, away, lag

    def describe(self) -> Iterable[Any]:
        return ()


_now = _Now()
REGISTRY.register(_now)


def follow(live: Live) -> None:
    """Tell of this server's bundle, of what is away and of how far feedback got, whenever somebody scrapes."""
    followed = weakref.ref(live)
    _now.live, _now.lags = followed, []

    def look() -> Any:
        looked = followed()
        if looked is None or _now.live is not followed:
            return FINISHED
        _now.lags = lags(looked, looked.clock())
        return None

    live.watch(Loop("lag reader", LAG_SECONDS, look, at_once=True))


def lags(live: Live, now: datetime) -> list[tuple[str, str, float]]:
    """Seconds since the end of each (campaign, arm)'s newest pushed cycle; none while the database is away."""
    from crossmix.ledger import pushes
    from crossmix.ledger.store import StoreAwayError

    try:
        rows = pushes.all_newest(live.store)
    except StoreAwayError:
        return []
    ages, campaigns = [], live.campaigns
    for name, arm, cycle in rows:
        if name in campaigns:
            campaign = campaigns[name]
            ages.append((name, arm, (now - campaign.ends(cycle)).total_seconds()))
    return ages


__all__ = ["Observe", "answered", "fed", "follow", "grpc_interceptor", "lags"]
