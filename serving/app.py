"""The server: KServe's V1, V2 and gRPC endpoints beside feedback, campaigns, experiment and page, in one process.

KServe's own `ModelServer` binds every interface by hard code; this one binds where it is told, loopback by default, and
asks for tokens as soon as that is elsewhere. On a cluster the same process runs as one role: a predictor (`policy`,
`control`), the router, which then calls the predictors by address, `feedback`, which takes nothing but that, or the
`pusher`, which alone makes statistics of finished cycles; predictors of other kinds (`creators`, `journey`) are
`serving.kinds.alone`'s.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from crossmix import listening
from crossmix.config import Config, ConfigError
from crossmix.metrics import ARMS, CANARY
from serving.http import root
from serving.live.live import Live

_log = logging.getLogger(__name__)
ALONE = ("creators", "journey")
"""Roles of a server of one other kind alone: of that name, and without a split."""
ROLES = ("all", "policy", "control", "router", "pusher", "feedback", *ALONE)
LEADING = ("all", "router")
"""Roles that have the page and management routes, and watch experiment and canary."""
ANSWERING = ("all", "policy")
"""Roles that answer for the other kinds of bundles."""
PUSHING = ("all", "pusher")
"""Roles that push finished cycles to the feature store."""
GRACE_SECONDS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Where and as what a server runs."""

    host: str = "127.0.0.1"
    port: int = 8080
    grpc_port: int | None = 8081
    """`None`: no gRPC."""
    tokens: Path | None = None
    """File of bearer tokens; needed where `host` is not loopback."""
    role: str = "all"
    predictors: tuple[str, str] | None = None
    """Addresses of the policy's and the control's predictor, for a router alone."""
    predictor_token: str | None = None
    root_path: str = ""
    """Path that the server has behind a proxy, as /crossmix; the proxy may keep or strip it."""

    def check(self) -> None:
        """Raises `ConfigError` for what cannot run."""
        if self.role not in ROLES:
            raise ConfigError(f"--role: {self.role!r}; use one of {', '.join(ROLES)}")
        if self.role == "router" and self.predictors is None:
            raise ConfigError("--role router: it has no predictors; name them with --policy-url and --control-url")
        if self.role in PUSHING and find_spec("torch") is None:
            raise ConfigError(
                f"--role {self.role}: statistics are made with torch, which is not installed here; run it where steps "
                "run (the image crossmix-steps), or install crossmix[steps]"
            )
        self.check_address()

    def check_address(self) -> None:
        """The same, of host and path alone."""
        if not listening.is_loopback(self.host) and self.tokens is None:
            raise ConfigError(
                f"--host {self.host}: others can reach it, so callers need tokens; "
                "make some with `crossmix token create` and name their file with --tokens"
            )
        root.check(self.root_path)


def application(live: Live, settings: Settings) -> Any:
    """The ASGI application, without the sockets.

    Raises:
        ConfigError: settings that cannot run, or a tokens file that cannot be used.
    """
    from serving.built import built
    from serving.http import observe

    settings.check()
    plane, repository = data_plane(live, settings)
    kinds = tuple(live.kinds) if settings.role in ANSWERING else ()
    routers = _routers(live, settings)
    app = built(plane, repository, routers, settings, live.config, live.bundle.layout, kinds)
    observe.follow(live)
    return app


def data_plane(live: Live, settings: Settings) -> tuple[Any, Any]:
    """KServe's data plane with the models of the role, and its repository extension."""
    from kserve.model_repository import ModelRepository
    from kserve.protocol.model_repository_extension import ModelRepositoryExtension

    from serving.allocation.answer import Answerer
    from serving.http import observe
    from serving.kinds.model import KindModel
    from serving.protocol import predictor
    from serving.protocol.plane import Plane
    from serving.protocol.router import Elsewhere, Here, RouterModel

    logging.getLogger("kserve.trace").setLevel(logging.ERROR)
    registry = ModelRepository()
    answerer = Answerer(live)
    for model in predictor.models(answerer, observe.answered):
        # The policy's predictor has the version on trial too.
        if settings.role in ("all", "policy" if model.name == CANARY else model.name):
            registry.update(model, model.name)
    if settings.role in LEADING:
        arms: Any = Here(answerer)
        if settings.predictors is not None:
            urls = dict(zip(ARMS, settings.predictors, strict=True))
            arms = Elsewhere(urls, settings.predictor_token)
        registry.update(RouterModel(live, arms, on_answer=observe.answered), "router")
    if settings.role in ANSWERING:
        for champion in live.kinds.values():
            registry.update(KindModel(champion), champion.kind)

    def version(model: str) -> int | None:
        if model in live.kinds:
            return live.kinds[model].version
        return live.trial.version if model == CANARY else live.version

    return Plane(registry, version, live), ModelRepositoryExtension(model_registry=registry)


def _routers(live: Live, settings: Settings) -> list[Any]:
    from crossmix.ledger import audit
    from serving.canary import routes as canary
    from serving.experiment import life, standing
    from serving.experiment import routes as verdict_routes
    from serving.http import observe, quarantine
    from serving.http import resources as routes
    from serving.page import routes as page

    routers, waiting = [_own(live)], live.config.serving.waiting
    if settings.role == "feedback":
        routers.append(routes.feedback_router(live, observed=observe.fed, waiting=waiting))
    if settings.role in LEADING:
        keeper = standing.keeper_of(live)
        live.watch(standing.loop_of(keeper))
        routers += [
            routes.router(live, changed=live.reload, observed=observe.fed, waiting=waiting),
            verdict_routes.router(live, keeper),
            life.router(live, changed=live.reload),
            canary.router(live),
            quarantine.router(live),
            page.router(live, lambda: _verdict(keeper), lambda most: audit.trail(live.store, limit=most)),
        ]
    return routers


def _verdict(keeper: Any) -> dict[str, Any] | None:
    """The experiment so far; `None` while there is nothing to tell or the database is away."""
    from crossmix.ledger.experiments import VerdictError
    from crossmix.ledger.store import StoreAwayError

    try:
        plain: dict[str, Any] = keeper.get().plain()
        return plain
    except (VerdictError, StoreAwayError):
        return None


def _own(live: Live) -> Any:
    """What serves, and whether the process lives: on the event loop, from memory; no database and no thread that
    others may hold is waited for."""
    from fastapi import APIRouter, Response
    from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

    from serving.http.answers import Error, HealthAnswer, ServingAnswer, TickAnswer
    from serving.http.ticking import Ticking

    router = APIRouter(tags=["server"])
    # With many campaigns the text takes a while: answers go on meanwhile.
    scrapes = ThreadPoolExecutor(1, thread_name_prefix="scrape")
    ticks = Ticking(live.tick, lambda: live.store)

    @router.get("/serving", response_model=ServingAnswer)
    async def serving() -> Any:
        """What serves now."""
        return serving_now(live)

    @router.post("/serving/refresh", response_model=ServingAnswer)
    def refresh() -> Any:
        """Ask the registry at once, and say what serves then. Of another kind what takes long to start is told as
        coming, and not waited for."""
        live.follow_champion()
        live.following.ask()
        return serving_now(live)

    @router.post("/serving/tick", response_model=TickAnswer, responses={503: {"model": Error}})
    async def tick() -> Any:
        """Do at once what the server does every few seconds: push what has finished, read everything anew, watch."""
        return await ticks.ask() | {"serving": serving_now(live)}

    @router.get("/healthz", response_model=HealthAnswer)
    async def healthz() -> Any:
        """The process answers; what is away beside it is no reason to restart it."""
        return {"status": "alive", "degraded": [*live.troubles(), *live.gaps.troubles(what="guard")]}

    @router.get("/metrics", response_class=Response, response_model=None)
    async def metrics() -> Any:
        """Prometheus metrics."""
        content = await asyncio.get_running_loop().run_in_executor(scrapes, generate_latest)
        return Response(content, media_type=CONTENT_TYPE_LATEST)

    return router


def serving_now(live: Live) -> dict[str, Any]:
    """Version and bundle that serve, the experiment, and what is away."""
    current = live.champion.current
    return {
        "version": current.version,
        "release": os.environ.get("CROSSMIX_RELEASE"),
        "bundle": current.bundle.digest,
        "since": current.since,
        "platforms": list(current.bundle.platforms),
        "campaigns": sorted(live.snapshot.planned),
        "experiment": {
            "id": live.experiment.id,
            "weights": dict(live.experiment.weights),
            "ended": live.experiment.reason if live.experiment.everybody else None,
            "everybody": live.experiment.everybody,
        },
        "canary": _canary(live),
        "kinds": [kind.told() for kind in live.kinds.values()],
        "degraded": live.degraded(),
    }


def _canary(live: Live) -> dict[str, Any] | None:
    tried = live.experiment.tried
    return None if tried is None else {"version": tried.version, "step": tried.step + 1, "part": tried.part}


def run(
    live: Any, settings: Settings, started: Callable[[], None] | None = None, made: Callable[..., Any] = application
) -> None:
    """`serve`, on uvloop."""
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(live, settings, started, made))


async def serve(
    live: Any, settings: Settings, started: Callable[[], None] | None = None, made: Callable[..., Any] = application
) -> None:
    """Run until SIGTERM or SIGINT; then finish what is under way, write what waits, and return.

    Args:
        live: what the server holds; it is stopped at the end.
        started: called once it answers.
        made: makes the application of `live` and the settings.

    Raises:
        ConfigError: an address that cannot be bound, or settings that cannot run.
    """
    app = made(live, settings)
    listener = listening.bound(settings.host, settings.port)
    grpc = await _grpc(app, settings)
    try:
        if started is not None:
            started()
        # What was loaded stays: a full collection would go through all of it (100 ms and more).
        gc.freeze()
        await listening.serve(app, listener, GRACE_SECONDS)
    finally:
        if grpc is not None:
            await grpc.stop(GRACE_SECONDS)
        await asyncio.to_thread(live.stop)


async def _grpc(app: Any, settings: Settings) -> Any:
    if settings.grpc_port is None:
        return None
    import grpc
    from kserve.protocol.grpc import grpc_predict_v2_pb2_grpc

    from serving.http import access, errors, observe
    from serving.protocol.plane import Servicer

    interceptors: list[Any] = [observe.grpc_interceptor(access.RPCS, access.CALLER.get)]
    if app.state.tokens is not None:
        interceptors.append(access.grpc_interceptor(app.state.tokens))
    interceptors.append(errors.grpc_interceptor())
    server = grpc.aio.server(interceptors=interceptors)

    servicer = Servicer(app.state.data_plane, app.state.repository)
    grpc_predict_v2_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(servicer, server)
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    try:
        bound = server.add_insecure_port(f"{host}:{settings.grpc_port}")
    except RuntimeError:
        bound = 0
    if not bound:
        raise ConfigError(f"--grpc-port {settings.grpc_port}: it cannot be bound on {settings.host}; name another")
    await server.start()
    return server


_KEYS = {"id": "experiment", "salt": "salt", "weights": "weight"}
"""An experiment's fields in the section `serving`."""


def config_of(config: Config) -> Config:
    """The config, once what serving asks of it is found sound; raises `ConfigError`."""
    from serving.assignment.arms import Experiment, ExperimentFieldError

    settings = config.serving
    try:
        weights = {"policy": settings.weight, "control": round(1 - settings.weight, 9)}
        Experiment(settings.experiment, settings.salt or "random", weights)
    except ExperimentFieldError as error:
        raise ConfigError(f"serving.{_KEYS[error.field]}: {error.problem}") from None
    return config
