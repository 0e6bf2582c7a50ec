"""The server of `benchmarks.feedback`: python -m benchmarks._ingest URL FOLDER PORT.

The routes, middlewares and queue of `crossmix serve` over one database, without a policy: what feedback passes.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from crossmix.clock import wall
from crossmix.ledger.campaigns import Campaign, load_all
from crossmix.ledger.store import Store
from serving.assignment.arms import Experiment
from serving.campaigns.lane import Lane
from serving.http import access, errors, observe, resources

LARGEST_BODY = 64 * 1_048_576


class Live:
    """What the routes need, with the campaigns of the database."""

    def __init__(self, store: Store, folder: Path) -> None:
        self.store, self.clock = store, wall
        self.campaigns: Mapping[str, Campaign] = load_all(store)
        self.platforms = tuple(next(iter(self.campaigns.values())).share)
        self.experiment = Experiment("first", "salt")
        self.lane = Lane(lambda: store, folder / "switches.journal", lambda _: None)


def application(url: str, folder: Path) -> Any:
    """An ASGI application that takes feedback."""
    from fastapi import FastAPI

    live = Live(Store(url), folder)
    app = FastAPI()
    app.include_router(resources.router(live, changed=lambda: None, observed=observe.fed))
    errors.install(app)
    app.add_middleware(access.Access, tokens=None)
    app.add_middleware(observe.Observe, largest_body=LARGEST_BODY)
    return app


def main() -> None:
    import uvicorn

    from serving.http import logs

    url, folder, port = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    logs.write_to()
    uvicorn.run(application(url, folder), host="127.0.0.1", port=port, log_config=None, access_log=False)


if __name__ == "__main__":
    main()
