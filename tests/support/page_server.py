"""The page over a small run's bundle, as its tests ask for it: three campaigns, one of them evil, at a fixed time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

from crossmix import bundle as bundles
from crossmix.clock import MemoryClock
from crossmix.config import load
from crossmix.ledger import audit
from serving.campaigns import service as campaigns
from serving.live.champion import Champion
from serving.live.live import Live
from serving.page import routes as page
from tests.support.serving_run import CAMPAIGNS, NAMES, save_bundle

EVIL = "<script>alert(1)</script> & \"quoted\" 'name'"
FIRST, SECOND = sorted(CAMPAIGNS)[:2]
NOW = datetime(2026, 6, 15, 10, tzinfo=UTC)
STATUS: dict[str, Any] = {
    "experiment": {
        "id": "first",
        "weights": {"policy": 0.7, "control": 0.3},
        "started": "2026-01-01T00:00:00+00:00",
    },
    "verdict": {
        "word": "running",
        "line": "Running, 5 of 14 cycles: no difference found so far; ROI +8.1% [-2%, +19%].",
    },
    "cycles": {"finished": 5, "planned": 14},
    "sample_ratio": {
        "users": {"policy": 7_012, "control": 2_988},
        "verdict": "balanced",
        "reason": "10,000 users are split 70.1% : 29.9% where 70% : 30% was wanted (p = 0.79).",
    },
    "arms": {
        "policy": {"roi": {"value": 1.31, "low": 1.2, "high": 1.42}},
        "control": {"roi": {"value": 1.21, "low": 1.08, "high": 1.34}},
    },
    "lifts": {"roi": {"always_valid": {"lift": 0.081, "low": -0.022, "high": 0.191}}},
    "guardrails": [
        {
            "name": "roi",
            "verdict": "holds",
            "detail": "the lift +8.1% is not below -20%",
            "sentence": "guardrail roi: the lift +8.1% is not below -20%",
        }
    ],
}


def saved(folder: Path) -> bundles.Bundle:
    """A bundle whose gates did not all pass."""
    made = save_bundle(folder, load("laptop"), 1)
    gates = [
        {"name": name, "value": 0.5, "threshold": "> 0", "verdict": verdict, "required": True, "detail": "<b>why</b>"}
        for name, verdict in (("policy.lead", "pass"), ("market.roi", "fail"), ("policy.limits", "pass"))
    ]
    return bundles.annotate(made.path, gates)


def opened(bundle: bundles.Bundle, tmp_path: Path) -> Iterator[Live]:
    """A server's own, with its feature store away: one campaign runs with limits, one is held by hand, one is evil."""
    own, now = tmp_path / "own", NOW
    champion = Champion(own, None, bundle.path)
    made = Live(
        load("laptop"), own, f"sqlite:///{own / 'serving.db'}", champion, tmp_path / "nothing", clock=MemoryClock(NOW)
    )
    made.reload()
    made.refresh_states()
    starts = (now - timedelta(days=4, hours=10)).isoformat()
    campaigns.edit(made.store, FIRST, {"starts": starts, "cycles": 14}, NAMES, "anna", "begin")
    campaigns.edit(made.store, FIRST, {"limits": {NAMES[0]: {"min": 0.3}}}, NAMES, "anna", "a floor")
    campaigns.set_override(made.store, SECOND, "static", None, NAMES, "bob", "<i>broken</i> landing page")
    campaigns.create(
        made.store,
        {
            "campaign_id": EVIL,
            "currency": "EUR",
            "cycle_budget": 500.0,
            "share": {NAMES[0]: 0.25, NAMES[1]: 0.75},
            "starts": (now + timedelta(days=2)).isoformat(),
            "cycles": 7,
            "cycle_hours": 24.0,
        },
        NAMES,
        "anna",
    )
    made.reload()
    yield made
    made.stop()


def application(live: Live, status: Callable[[], dict[str, Any] | None] = lambda: STATUS) -> FastAPI:
    app = FastAPI()
    app.include_router(page.router(live, status, lambda most: audit.trail(live.store, limit=most)))
    return app


def get(app: Any, path: str) -> httpx.Response:
    async def call() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here") as client:
            return await client.get(path, headers={"accept": "text/html, application/json"})

    return asyncio.run(call())
