"""What a server tells about itself: request ids, a log line per request, Prometheus metrics; and what it takes: bodies
up to a bound, plain or compressed, addresses in UTF-8, and HEAD wherever GET is.

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
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

import orjson
from prometheus_client import REGISTRY, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily

from serving.http import logs
from serving.http.encoding import TAKEN, Decoder, EncodingError, TooLargeError, coding
from serving.http.root import routed

if TYPE_CHECKING:
    from serving.feedback.events import Receipt
    from serving.kinds.alone import Alone
    from serving.live.live import Live

_log = logging.getLogger(__name__)
UNMATCHED = "unmatched"
"""The route of a request that none takes: paths that anybody may invent must not become series."""
CANCELLED = 499
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


BATCHES = frozenset({("POST", "/feedback"), ("POST", "/campaigns")})
"""Requests that hold many rows."""


@dataclass(frozen=True, slots=True)
class Bound:
    """How large a body may be, bytes, as it is once decoded."""

    bytes: int
    setting: str
    """That says so."""

    def sentence(self) -> str:
        return f"body: larger than {self.bytes} bytes; send less at a time, or raise {self.setting}"


class Observe:
    """ASGI middleware, the outermost.

    Args:
        largest_body: bytes; a larger one is answered 413 as soon as that is known, and not kept.
        largest_batch: the same, of `BATCHES`; `None`: as any other.
    """

    def __init__(self, app: Any, largest_body: int, largest_batch: int | None = None) -> None:
        self.app = app
        self._body = Bound(largest_body, "serving.largest_body")
        self._batch = self._body if largest_batch is None else Bound(largest_batch, "serving.largest_batch")

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = time.perf_counter()
        method = scope["method"]
        number, length, encoded = _head(scope["headers"])
        if method == "HEAD":  # as GET, without the body
            scope = {**scope, "method": "GET"}
        state = scope.setdefault("state", {})
        state["request_id"] = number
        answer = _Answer(send, number, method == "HEAD")
        bound = self._batch if (method, routed(scope)) in BATCHES else self._body
        try:
            if not _is_utf8(scope):
                await answer.error(400, "path: not UTF-8; percent-encode the UTF-8 bytes of ids, in path and query")
            elif length is not None and length > bound.bytes:
                await answer.error(413, bound.sentence())
            elif encoded is not None:
                await self._decoded(scope, receive, answer, bound, encoded)
            elif length is not None:
                await self.app(scope, receive, answer.send)
            else:
                await self.app(scope, _counted(receive, answer, bound), answer.send)
        except Exception as error:
            if answer.closed:  # the application's own trouble with a body that was refused
                return
            _log.error("request %s failed", number, exc_info=error)
            if answer.status is not None:
                raise
            await answer.error(500, f"the server failed; its log has the cause under request id {number}")
        finally:
            self._note(method, scope, state, answer.status or CANCELLED, time.perf_counter() - began)

    async def _decoded(self, scope: Any, receive: Any, answer: _Answer, bound: Bound, encoded: str) -> None:
        """The application with the body as it was before it was compressed."""
        try:
            named = coding(encoded)
        except EncodingError as error:
            await answer.error(415, str(error), ((b"accept-encoding", TAKEN.encode()),))
            return
        if named is None:
            await self.app(scope, _counted(receive, answer, bound), answer.send)
            return
        decoder = Decoder(named, bound.bytes)

        async def decoded() -> Any:
            if answer.closed:
                return {"type": "http.disconnect"}
            message = await receive()
            if message["type"] != "http.request":
                return message
            try:
                body = decoder.feed(message.get("body", b""), not message.get("more_body", False))
            except TooLargeError:
                await answer.error(413, bound.sentence())
            except EncodingError as error:
                await answer.error(400, str(error))
            else:
                return {**message, "body": body}
            return {"type": "http.disconnect"}

        gone = (b"content-encoding", b"content-length")
        headers = [pair for pair in scope["headers"] if pair[0] not in gone]
        scope["headers"] = headers
        await self.app(scope, decoded, answer.send)

    def _note(self, method: str, scope: Any, state: Mapping[str, Any], status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", UNMATCHED)
        _noted(method, route, status, seconds, state["request_id"], state.get("actor"))


def _counted(receive: Any, answer: _Answer, bound: Bound) -> Any:
    """`receive` for a body of unknown length: once it is too large it is refused, and the application hears that the
    client is gone."""
    received = 0

    async def counted() -> Any:
        nonlocal received
        if answer.closed:
            return {"type": "http.disconnect"}
        message = await receive()
        if message["type"] == "http.request":
            received += len(message.get("body", b""))
            if received > bound.bytes:
                await answer.error(413, bound.sentence())
                return {"type": "http.disconnect"}
        return message

    return counted


def _is_utf8(scope: Any) -> bool:
    """Whether the address is ASCII, and text where it is percent-encoded: a name that is none would be read as
    another."""
    for raw in (scope.get("raw_path") or b"", scope.get("query_string") or b""):
        if not raw.isascii():
            return False
        if b"%" in raw:
            try:
                unquote_to_bytes(raw).decode()
            except UnicodeDecodeError:
                return False
    return True


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
            number, *_ = _head([(b"x-request-id", value.encode()) for value in sent if isinstance(value, str)])

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
    """`send` that adds the request's id and remembers the status; closed, it drops what still comes.

    Args:
        bare: without a body, as HEAD's is.
    """

    __slots__ = ("_bare", "_header", "_send", "closed", "status")

    def __init__(self, send: Any, number: str, bare: bool = False) -> None:
        self._send, self._header, self._bare = send, (b"x-request-id", number.encode()), bare
        self.status: int | None = None
        self.closed = False

    async def send(self, message: Any) -> None:
        if self.closed:
            return
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = [*message.get("headers", ()), self._header]
            if 300 < message["status"] < 309:
                headers = [_own_address(pair) for pair in headers]
            message = {**message, "headers": headers}
        elif self._bare:
            message = {**message, "body": b""}
        await self._send(message)

    async def error(self, status: int, sentence: str, more: Sequence[tuple[bytes, bytes]] = ()) -> None:
        """Answer with a sentence, if nothing was answered before; then close."""
        if self.status is None:
            body = orjson.dumps({"error": sentence})
            headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), *more]
            await self.send({"type": "http.response.start", "status": status, "headers": headers})
            await self.send({"type": "http.response.body", "body": body})
        self.closed = True


_ORIGIN = re.compile(rb"https?://[^/]*(?=/(?!/))")


def _own_address(pair: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
    """A redirect without scheme and host: behind a proxy they are not those that the client knows."""
    return (pair[0], _ORIGIN.sub(b"", pair[1], count=1)) if pair[0] == b"location" else pair


def _head(headers: Iterable[tuple[bytes, bytes]]) -> tuple[str, int | None, str | None]:
    """The request's id, made if none fit came with it; the body's length and coding, if they are told."""
    number, length, encoded = None, None, None
    for key, value in headers:
        if key == b"x-request-id":
            if _REQUEST_ID.fullmatch(value):
                number = value.decode()
        elif key == b"content-length" and value.isdigit():
            length = int(value) if len(value) <= 18 else sys.maxsize
        elif key == b"content-encoding":
            encoded = value.decode("latin-1") if encoded is None else f"{encoded}, {value.decode('latin-1')}"
    return number or f"{_START}{next(_COUNT):08x}", length, encoded


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

    def collect(self) -> Iterable[Any]:
        bundle = GaugeMetricFamily("crossmix_bundle_info", "The bundle that serves.", labels=["version", "digest"])
        away = GaugeMetricFamily("crossmix_away", "1 while it is away or refused.", labels=["what"])
        lag = GaugeMetricFamily(
            "crossmix_feedback_lag_seconds",
            "Since the newest event of a running campaign's arm came in; since its start where none ever did.",
            labels=["campaign", "arm"],
        )
        unknown = GaugeMetricFamily(
            "crossmix_feedback_unknown_cycles",
            "Finished cycles that were told money and of which nothing is reported.",
            labels=["campaign", "arm"],
        )
        canary = GaugeMetricFamily(
            "crossmix_canary_part", "Part of the policy's users that a version on trial has.", labels=["version"]
        )
        held = GaugeMetricFamily(
            "crossmix_feedback_held_cells",
            "Cells of feedback that are not believed and wait for a person.",
            labels=["campaign", "arm"],
        )
        kinds = GaugeMetricFamily(
            "crossmix_kind_info", "The bundle of another kind that serves.", labels=["kind", "version", "digest"]
        )
        live = self.live()
        for one in () if live is None else live.kinds.values():
            told = one.told()
            if told["bundle"] is not None:
                kinds.add_metric([told["kind"], str(told["version"] or ""), told["bundle"]], 1)
        if live is not None and live.serves_split:
            if live.experiment.tried is not None:
                canary.add_metric([str(live.experiment.tried.version)], live.experiment.tried.part)
            bundle.add_metric([str(live.version or ""), live.bundle.digest], 1)
            for what in sorted({trouble["what"] for trouble in live.troubles()}):
                away.add_metric([what], 1)
            for campaign, arm, seconds in lags(live, live.clock()):
                lag.add_metric([campaign, arm], seconds)
            for (campaign, arm), cycles in sorted(live.gaps.unreported().items()):
                unknown.add_metric([campaign, arm], cycles)
            for (campaign, arm), cells in sorted(live.gaps.held().items()):
                held.add_metric([campaign, arm], cells)
        return bundle, kinds, away, lag, unknown, canary, held

    def describe(self) -> Iterable[Any]:
        return ()


_now = _Now()
REGISTRY.register(_now)


def follow(live: Live | Alone) -> None:
    """Tell of this server's bundles, of what is away and of how far feedback got, whenever somebody scrapes."""
    _now.live = weakref.ref(live)


def lags(live: Live, now: datetime) -> list[tuple[str, str, float]]:
    """Seconds since each running (campaign, arm)'s newest event came in, as the pusher last saw; no query."""
    return live.gaps.ages(live.campaigns, now)


__all__ = ["Observe", "answered", "fed", "follow", "grpc_interceptor", "lags"]
