"""A small application behind the server's middlewares, asked within the process, and the log that it writes."""

from __future__ import annotations

import asyncio
import io
import json
from typing import Any

import httpx
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from serving.http.access import Access
from serving.http.observe import Observe

LIMIT = 1_000
"""Bytes of a body."""


def application() -> Any:
    app = FastAPI()

    @app.get("/campaigns/{campaign_id}")
    async def campaign(campaign_id: str) -> dict[str, str]:
        return {"campaign_id": campaign_id}

    @app.post("/take")
    async def take(request: Request) -> JSONResponse:
        return JSONResponse({"bytes": len(await request.body())})

    @app.post("/parsed")
    async def parsed(body: dict[str, Any]) -> int:
        return len(body)

    @app.get("/fault")
    async def fault() -> None:
        raise RuntimeError("user-xyzzy has no arm")

    app.add_middleware(Access, tokens=None)
    app.add_middleware(Observe, largest_body=LIMIT)
    return app


def ask(app: Any, method: str, path: str, **more: Any) -> httpx.Response:
    async def call() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
            return await client.request(method, path, **more)

    return asyncio.run(call())


def requests_in(lines: io.StringIO) -> list[dict[str, Any]]:
    """The log's lines of requests."""
    return [line for line in map(json.loads, lines.getvalue().splitlines()) if line["message"] == "request"]
