"""A simulated experiment and the same one served: the same market, seed and policy, 14 days over HTTP on a clock that
is moved, give the same money and the same verdict.

Shapes: C campaigns, P platforms.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import torch
from torch import Tensor

from crossmix import bundle
from crossmix.evaluate import simulate as trial
from crossmix.history import Outcome
from crossmix.market.environment import MarketEnvironment, Observation
from crossmix.metrics import AMOUNTS, ARMS
from tests.support.markets import make_market
from tests.support.served_process import Server, tick
from tests.support.serving_run import NAMES, Run

BEGINS = datetime(2026, 1, 5, tzinfo=UTC)
DAYS, LEVEL = 14, 0.05
WEIGHT = dict(zip(ARMS, (0.7, 0.3), strict=True))
MARKET = replace(make_market(seed=3, drift=0.1), campaigns=("m0", "m1"), platforms=NAMES, currency="EUR")
TOLD = ("requests", "impressions", "clicks", "conversions", "revenue", "spend")
LENIENT = ("roi_drop=0.95", "utilisation_drop=0.95", "cpa_rise=50")
"""A policy of random weights must run to the end."""
OWN = "serving.guard.overspend=100"
"""What is spent are answers to states of its own, which nobody else was told."""


class Driver:
    """Asks a running server and tells it what came of its answers."""

    def __init__(self, server: Server, clock: Path) -> None:
        self.clock, self.http = clock, httpx.Client(base_url=server.url, timeout=300)

    def ok(self, method: str, path: str, body: Any = None) -> Any:
        reply = self.http.request(method, path, json=body)
        assert reply.is_success, reply.text
        return reply.json()

    def at(self, moment: datetime) -> None:
        """It is `moment`, and all that is due then is done."""
        self.clock.write_text(moment.isoformat())
        done = tick(self.http)
        assert [part["trouble"] for part in done["parts"]] == [None] * 7

    def answers(self, arm: str, **more: list[Any]) -> list[dict[str, Any]]:
        """Of every campaign."""
        rows = [{"campaign_id": name} for name in MARKET.campaigns]
        rows = [row | {key: values[c] for key, values in more.items()} for c, row in enumerate(rows)]
        reply: dict[str, list[dict[str, Any]]] = self.ok("POST", f"/v1/models/{arm}:predict", {"instances": rows})
        return reply["predictions"]

    def share(self, arm: str, seen: Observation) -> Tensor:
        """What an arm serves, (C, P): the policy in the market's own state, whose past is longer than the server's."""
        states = {"state": seen.state_BS.tolist()} if arm == "policy" else {}
        answers = self.answers(arm, **states)
        return torch.tensor([[line["share"] for line in one["allocation"]] for one in answers], dtype=torch.float32)

    def report(self, arm: str, cycle: int, outcome: Outcome) -> None:
        """A day's outcomes, an event per campaign and platform."""
        events = [
            {"event_id": f"{arm}-{cycle}-{campaign}-{platform}", "campaign_id": campaign, "arm": arm}
            | {"platform": platform, "cycle": cycle}
            | {name: _number(getattr(outcome, name)[c, p]) for name in TOLD}
            for c, campaign in enumerate(MARKET.campaigns)
            for p, platform in enumerate(NAMES)
        ]
        assert self.ok("POST", "/feedback", events)["accepted"] == len(events)


def _number(value: Tensor) -> float | int:
    number = float(value)
    return int(number) if number.is_integer() else number


def worlds(run: Run) -> dict[str, MarketEnvironment]:
    """The market of each arm, as `simulate` plays it."""
    given: dict[str, Any] = {"runs": 1, "days": DAYS, "seed": trial.FIRST_SEED}
    return {
        arm: trial.arm_world(run.config, MARKET, weight, arm=number, **given)
        for number, (arm, weight) in enumerate(WEIGHT.items())
    }


@pytest.mark.slow
def test_fourteen_days_over_http_are_the_simulated_ones(run: Run, serve: Callable[..., Server], tmp_path: Path) -> None:
    served = bundle.load(run.out / "bundle")

    def act(_: MarketEnvironment, seen: Observation) -> Tensor:
        share = served.allocate(*(x.numpy().astype(np.float32) for x in (seen.state_BS, seen.low_BP, seen.high_BP)))
        return torch.from_numpy(np.ascontiguousarray(share))

    weights = (WEIGHT["policy"], WEIGHT["control"])
    simulated = trial.simulate(run.config, MARKET, act, weights, runs=1, days=DAYS, level=LEVEL)

    clock = tmp_path / "clock"
    clock.write_text(BEGINS.isoformat())
    settings = [
        f"serving.clock={clock}",
        f"serving.days={DAYS}",
        OWN,
        *(f"serving.guardrails.{one}" for one in LENIENT),
    ]
    server = serve(run, "--grpc-port", "0", *(part for one in settings for part in ("--set", one)))
    driver = Driver(server, clock)
    for c, name in enumerate(MARKET.campaigns):
        static_P = MARKET.static[c].double() / MARKET.static[c].double().sum()
        plan = {"campaign_id": name, "currency": "EUR", "cycle_budget": float(MARKET.budget[c]), "limits": {}}
        flight = {"starts": BEGINS.isoformat(), "cycles": DAYS, "cycle_hours": 24}
        driver.ok("POST", "/campaigns", plan | flight | {"share": dict(zip(NAMES, static_P.tolist(), strict=True))})
    world = worlds(run)
    seen = {arm: world[arm].observe() for arm in ARMS}
    returned = 0.0
    for day in range(DAYS):
        driver.at(BEGINS + timedelta(days=day, hours=1))
        for arm in ARMS:
            budgets = [one["budget"] for one in driver.answers(arm)]
            assert budgets == pytest.approx(world[arm].cycle_budget_B().tolist(), rel=1e-4), (day, arm)
            returned += sum(budgets) - WEIGHT[arm] * float(MARKET.budget.sum())
            step = world[arm].step(driver.share(arm, seen[arm]))
            seen[arm] = step.observation
            driver.clock.write_text((BEGINS + timedelta(days=day, hours=23)).isoformat())
            driver.report(arm, day, step.outcome)
    assert returned > 0.01 * float(MARKET.budget.sum()), "money that came back unspent was told again, as in the market"
    driver.at(BEGINS + timedelta(days=DAYS, hours=1))
    verdict = driver.ok("GET", "/experiment.json")

    assert verdict["cycles"]["finished"] == DAYS
    for arm in ARMS:
        total = {name: sum(simulated["first_run"][arm][name]) for name in AMOUNTS}
        assert {name: verdict["arms"][arm][name] for name in AMOUNTS} == pytest.approx(total, rel=1e-6), arm
        assert verdict["arms"][arm]["roi"]["value"] == pytest.approx(total["revenue"] / total["planned"], rel=1e-6)
    for test in ("always_valid", "paired"):
        want, have = simulated["experiment"]["first_run"][test], verdict["lifts"]["roi"][test]
        figures = [have["lift"], have["low"], have["high"], have["p"]]
        assert figures == pytest.approx([want["lift"], *want["ci95"], want["p"]], rel=1e-5), test
    assert server.end() == 0
