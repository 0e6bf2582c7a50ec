"""The server of a run or a registry without a split: the same protocols and models of the other kinds, nothing else.

There is no campaign, no experiment and no feedback here, so that no database is opened. A server of a split answers for
these kinds too, from the registry that it follows (`serving.app`).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from crossmix.config import Config, ConfigError
from serving.kinds.champion import KindChampion, NoChampionError
from serving.kinds.following import Following

if TYPE_CHECKING:
    from serving.app import Settings


class Alone:
    """What such a server holds.

    Args:
        config: of the run or, from a registry, of the server, with its `serving` section.
        kinds: the champions that it follows.
    """

    def __init__(self, config: Config, kinds: Sequence[KindChampion]) -> None:
        self.config = config
        self.kinds = {one.kind: one for one in kinds}
        self.following = Following(kinds, config.serving.watch_seconds)

    serves_split = False

    @property
    def ready(self) -> bool:
        """Whether any kind serves: a server that plans is not taken away because another kind is starting."""
        return any(one.ready for one in self.kinds.values())

    def absent(self) -> NoChampionError:
        """Why none does."""
        return NoChampionError("; ".join(str(one.absent()) for one in self.kinds.values()))

    def start(self) -> None:
        """Begin to follow the registry; what served last, and its champions, come in the background."""
        self.following.start()

    def stop(self) -> None:
        """End the loops, and what the bundles hold."""
        self.following.stop()


def application(alone: Alone, settings: Settings) -> Any:
    """The ASGI application, without the sockets; raises `ConfigError` for settings that cannot run."""
    from kserve.model_repository import ModelRepository
    from kserve.protocol.model_repository_extension import ModelRepositoryExtension

    from serving.app import ALONE, ANSWERING
    from serving.built import built
    from serving.http import observe
    from serving.kinds.model import KindModel
    from serving.protocol.plane import Plane

    if settings.role not in (*ANSWERING, *ALONE):
        use = ", ".join((*ANSWERING, *ALONE))
        raise ConfigError(f"--role {settings.role}: a server without a split has no such part; use one of {use}")
    settings.check_address()
    registry = ModelRepository()
    for champion in alone.kinds.values():
        registry.update(KindModel(champion), champion.kind)
    plane = Plane(registry, lambda model: alone.kinds[model].version, alone)
    repository = ModelRepositoryExtension(model_registry=registry)
    app = built(plane, repository, [_own(alone)], settings, alone.config, None, tuple(alone.kinds))
    observe.follow(alone)
    return app


def _own(alone: Alone) -> Any:
    from fastapi import APIRouter, Response
    from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

    from serving.http.answers import HealthAnswer, KindsAnswer

    router = APIRouter(tags=["server"])
    scrapes = ThreadPoolExecutor(1, thread_name_prefix="scrape")

    @router.get("/serving", response_model=KindsAnswer)
    async def serving() -> Any:
        """What serves now."""
        return serving_now(alone)

    @router.post("/serving/refresh", response_model=KindsAnswer)
    def refresh() -> Any:
        """Ask the registry at once, and say what serves then; what takes long to start is told as coming, and not
        waited for."""
        alone.following.ask()
        return serving_now(alone)

    @router.get("/healthz", response_model=HealthAnswer)
    async def healthz() -> Any:
        """The process answers; what is away beside it is no reason to restart it."""
        return {"status": "alive", "degraded": []}

    @router.get("/metrics", response_class=Response, response_model=None)
    async def metrics() -> Any:
        """Prometheus metrics."""
        content = await asyncio.get_running_loop().run_in_executor(scrapes, generate_latest)
        return Response(content, media_type=CONTENT_TYPE_LATEST)

    return router


def serving_now(alone: Alone) -> dict[str, Any]:
    """Each kind's version and bundle."""
    kinds = [kind.told() for kind in alone.kinds.values()]
    return {"release": os.environ.get("CROSSMIX_RELEASE"), "kinds": kinds, "degraded": []}
