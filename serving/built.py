"""The ASGI application around a data plane: KServe's routes, ours, errors, OpenAPI, tokens and what is observed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from serving.http import root

if TYPE_CHECKING:
    from crossmix.config import Config
    from crossmix.state import Layout
    from serving.app import Settings


def built(
    plane: Any,
    repository: Any,
    routers: Sequence[Any],
    settings: Settings,
    config: Config,
    layout: Layout | None,
    kinds: Sequence[str],
) -> Any:
    """The application.

    Args:
        plane, repository: KServe's data plane with the models, and its repository extension.
        routers: the routes beside the protocols'.
        layout: of the split that serves; `None`: none does.
        kinds: the other kinds that are served.

    Raises:
        ConfigError: a tokens file that cannot be used.
    """
    from fastapi import FastAPI
    from kserve.protocol.rest.v1_endpoints import register_v1_endpoints
    from kserve.protocol.rest.v2_endpoints import register_v2_endpoints

    from serving.http import access, errors, observe
    from serving.protocol import metadata as schema
    from serving.protocol import v1, v2

    app = FastAPI(title="crossmix", docs_url=None, redoc_url=None)
    app.state.data_plane, app.state.repository = plane, repository
    app.router.routes[:0] = [v1.route(plane), v1.Alive()]
    for register in (register_v1_endpoints, register_v2_endpoints):
        register(_Kept(app), plane, repository)
    app.include_router(v2.router(plane))
    for router in routers:
        app.include_router(router)
    errors.install(app)
    schema.install(app, tuple(plane.model_registry.get_models()), layout, kinds)
    tokens = None if settings.tokens is None else access.Tokens(settings.tokens)
    app.add_middleware(access.Access, tokens=tokens)
    limits = config.serving
    app.add_middleware(observe.Observe, largest_body=limits.largest_body, largest_batch=limits.largest_batch)
    prefix = root.check(settings.root_path)
    if prefix:
        app.add_middleware(root.Rooted, root=prefix)
    app.state.tokens = tokens
    return app


class _Kept:
    """An application that takes KServe's routers without what this server withholds.

    The registry says what serves, and answers explain themselves: these routes would unload a
    model, or answer 501. What V2 asks of one model is `serving.protocol.v2`'s.
    """

    def __init__(self, app: Any) -> None:
        self.app = app

    def include_router(self, router: Any) -> None:
        router.routes[:] = [
            route
            for route in router.routes
            if not (route.path.startswith(("/v2/repository", "/v2/models/")) or route.path.endswith(":explain"))
        ]
        self.app.include_router(router)
