"""The feedback routes in a process that tests kill: python -m tests.support.feedback_server URL PORT."""

from __future__ import annotations

import sys

import uvicorn
from fastapi import FastAPI

from crossmix.clock import wall
from crossmix.ledger.store import Store
from serving.http import resources as routes
from tests.support.serving_live import FakeLive


def main(url: str, port: int) -> None:
    live = FakeLive(Store(url))
    app = FastAPI()
    app.include_router(routes.router(live, changed=live.reload, clock=wall))
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
