"""The page over a small run's bundle, as its tests ask for it: three campaigns, one of them evil, at a fixed time."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI

from crossmix import bundle as bundles
from crossmix.clock import MemoryClock
from crossmix.config import load
from crossmix.ledger import audit, feedback, served
from crossmix.ledger.feedback import Event
from serving.campaigns import service as campaigns
from serving.http import access
from serving.live.champion import Champion
from serving.live.live import Live
from serving.page import routes as page
from tests.support.serving_run import BUDGET, CAMPAIGNS, NAMES, save_bundle

EVIL = "<script>alert(1)</script> & \"quoted\" 'name'"
FIRST, SECOND = sorted(CAMPAIGNS)[:2]
NOW = datetime(2026, 6, 15, 10, tzinfo=UTC)
PLATFORMS = (
    "Google Search",
    "Google Display",
    "Meta Facebook",
    "Meta Instagram",
    "TikTok",
    "YouTube",
    "Amazon Ads",
    "Microsoft Search",
    "LinkedIn",
    "Pinterest",
)
"""As many as a large advertiser uses, with the names that they have."""
FLIGHT = 28
"""Days."""
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


@contextmanager
def listening(app: FastAPI, folder: Path, scope: str) -> Iterator[tuple[str, str]]:
    """The application behind tokens, on loopback: its address, and a token of the scope."""
    file = folder / "tokens.json"
    token = access.create(file, "person", [scope])
    app.add_middleware(access.Access, tokens=access.Tokens(file))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 300
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.02)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/", token
    finally:
        server.should_exit = True
        thread.join(20)


def many(folder: Path, number: int = 50) -> Iterator[Live]:
    """A server of ten platforms and `number` campaigns that have delivered, two of them with curves.

    Every campaign is in the middle of its flight. One platform of each second campaign reports nothing any more, one
    campaign is paused and one is held by hand, so that the list has rows of more than two lines too.
    """
    bundle = save_bundle(folder / "ten", load("laptop"), 1, PLATFORMS)
    own = folder / "own"
    champion = Champion(own, None, bundle.path)
    live = Live(
        load("laptop"), own, f"sqlite:///{own / 'serving.db'}", champion, folder / "nothing", clock=MemoryClock(NOW)
    )
    live.reload()
    starts = datetime(2026, 6, 1, tzinfo=UTC)
    share = dict.fromkeys(PLATFORMS, 1 / len(PLATFORMS))
    names = [FIRST, SECOND, *(f"autumn sale of house {number:02d}" for number in range(number - 2))]
    for name in names[:2]:
        campaigns.edit(live.store, name, {"starts": starts.isoformat(), "cycles": FLIGHT}, PLATFORMS, "anna", "begin")
    rows = [
        {
            "campaign_id": name,
            "currency": "EUR",
            "cycle_budget": BUDGET,
            "share": share,
            "starts": starts.isoformat(),
            "cycles": FLIGHT,
            "cycle_hours": 24.0,
        }
        for name in names[2:]
    ]
    campaigns.import_(live.store, rows, "anna", PLATFORMS)
    begun = (NOW - starts).days
    for slot, name in enumerate(names):
        events, answers = _delivered(name, begun, silent=slot % 2 == 0)
        feedback.insert(live.store, events, NOW)
        served.record(live.store, [], answers)
    campaigns.set_override(live.store, SECOND, "static", None, PLATFORMS, "bob", "broken landing page")
    campaigns.pause(live.store, names[2], "bob", "sold out")
    live.reload()
    yield live
    live.stop()


def _delivered(name: str, days: int, *, silent: bool) -> tuple[list[Event], list[dict[str, Any]]]:
    """Reports of `days` finished days, and what was told then; `silent`: without the last platform of late."""
    events, answers, share = [], [], dict.fromkeys(PLATFORMS, 1 / len(PLATFORMS))
    for day in range(days):
        for arm, weight in (("policy", 0.7), ("control", 0.3)):
            budget = BUDGET * weight
            answers.append(
                {
                    "allocation_id": f"{name}.{day}.{arm}",
                    "at": NOW - timedelta(days=days - day),
                    "campaign_id": name,
                    "arm": arm,
                    "cycle": day,
                    "bundle": "b",
                    "budget": budget,
                    "share": share,
                    **dict.fromkeys(("state", "logits", "log_density", "override")),
                }
            )
            reporting = PLATFORMS[:-1] if silent and day >= days - 5 else PLATFORMS
            for slot, platform in enumerate(reporting):
                spend = (0.9 + 0.01 * ((day + slot) % 9)) * budget / len(PLATFORMS)
                key, cost = f"{name}.{day}.{arm}.{platform}", (90 * spend, 2 * spend, spend / 20, 1.7 * spend, spend)
                events.append(Event(key, name, arm, platform, day, day, None, None, *cost))
    return events, answers
