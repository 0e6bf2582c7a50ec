"""A canary in `crossmix serve` on a clock that is moved: a bad version is stopped and the champion verified back; the
same version, good this time, passes its steps and is promoted. Whoever is in no canary keeps the arm throughout."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.served_process import SECONDS, Server, tick
from tests.support.serving_run import BUDGET, CAMPAIGNS, Run

BEGINS = datetime(2026, 1, 5, 9, tzinfo=UTC)
DAY = timedelta(days=1)
USERS = [f"user {n}" for n in range(400)]
SETTINGS = (
    "serving.canary.cycles=3",
    "serving.canary.steps=[0.1,0.5,1.0]",
    "serving.explore=false",
    "serving.guardrails.roi_drop=0.95",
)


class Driver:
    """Moves a server's clock, asks its router as its users do, and tells what came of each arm."""

    def __init__(self, server: Server, clock: Path) -> None:
        self.server, self.clock, self.day = server, clock, 0
        self.http = httpx.Client(base_url=server.url, timeout=SECONDS)

    def ok(self, method: str, path: str, body: Any = None) -> Any:
        reply = self.http.request(method, path, json=body)
        assert reply.is_success, reply.text
        return reply.json()

    def routed(self) -> dict[str, dict[str, Any]]:
        rows = [{"campaign_id": CAMPAIGNS[0], "user_id": user} for user in USERS]
        answers = self.ok("POST", "/v1/models/router:predict", {"instances": rows})["predictions"]
        return dict(zip(USERS, answers, strict=True))

    def live(self, canary: float = 1.0) -> dict[str, dict[str, Any]]:
        """A day: users are answered, and every arm earns by its money, the canary's `canary` times what the policy's
        does; then the next day begins. The users' answers."""
        self.clock.write_text((BEGINS + self.day * DAY).isoformat())
        done = tick(self.http)
        assert [part["trouble"] for part in done["parts"]] == [None] * 7
        answers = self.routed()
        events = []
        for number, arm in enumerate(("policy", "control", "canary")):
            answer = next((one for one in answers.values() if one["arm"] == arm), None)
            # Days differ, and arms differ from day to day.
            by = math.exp(0.1 * math.sin(self.day) + 0.05 * math.sin(7.0 * number + 2.0 * self.day))
            by *= canary if arm == "canary" else 1.0
            for line in () if answer is None else answer["allocation"]:
                money = {"spend": line["amount"], "revenue": 2.0 * by * line["amount"]}
                counts = {"impressions": 100, "clicks": 10, "conversions": 0.1 * line["amount"]}
                where = {"campaign_id": CAMPAIGNS[0], "arm": arm, "platform": line["platform"], "cycle": self.day}
                events.append({"event_id": f"{arm}-{self.day}-{line['platform']}"} | where | money | counts)
        assert self.ok("POST", "/feedback", events)["accepted"] == len(events)
        self.day += 1
        return answers

    def canary(self) -> dict[str, Any]:
        row: dict[str, Any] = self.ok("GET", "/canary")
        return row

    def command(self, *arguments: str) -> str:
        command = [sys.executable, "-m", "pipelines.cli.main", "canary", *arguments, "--server", self.server.url]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS)
        assert done.returncode == 0, done.stderr
        return done.stdout


def arms(answers: dict[str, dict[str, Any]]) -> dict[str, str]:
    return {user: answer["arm"] for user, answer in answers.items()}


def versions(answers: dict[str, dict[str, Any]], arm: str) -> set[int]:
    return {answer["version"] for answer in answers.values() if answer["arm"] == arm}


@pytest.mark.slow
def test_a_bad_version_is_stopped_and_a_good_one_promoted(
    run: Run, serve: Callable[..., Server], tmp_path: Path
) -> None:
    clock = tmp_path / "clock"
    clock.write_text(BEGINS.isoformat())
    settings = [part for one in (f"serving.clock={clock}", *SETTINGS) for part in ("--set", one)]
    driver = Driver(serve(run, "--grpc-port", "0", *settings), clock)
    before = arms(driver.live())
    for _ in range(4):
        assert arms(driver.live()) == before

    assert "version 2 against 1: running, step 1 of 10%, 50%, 100%" in driver.command("begin", "--reason", "better")
    assert arms(driver.routed()) == before, "a cycle under way is finished as it was"
    days, served = 0, set[int]()
    while driver.canary()["canary"]["state"] == "running":
        answers = driver.live(canary=0.5)
        now, days = arms(answers), days + 1
        tried = {user for user, arm in now.items() if arm == "canary"}
        if tried:
            assert {user: before[user] for user in tried} == dict.fromkeys(tried, "policy")
            assert {user: arm for user, arm in now.items() if user not in tried} == {
                user: arm for user, arm in before.items() if user not in tried
            }
            # The look that stops it comes before the day's answers.
            runs = driver.canary()["canary"]["state"] == "running"
            assert (versions(answers, "canary"), versions(answers, "policy")) == ({2 if runs else 1}, {1})
            served |= versions(answers, "canary")
            budget = {answer["arm"]: answer["budget"] for answer in answers.values()}
            assert budget["canary"] == pytest.approx(0.07 * BUDGET, rel=0.2), "its own part, as it paces it"
            assert budget["policy"] == pytest.approx(0.63 * BUDGET, rel=0.2)
            assert 12 <= len(tried) <= 45, "7 % of 400"
        assert days < 12
    assert served == {1, 2}
    stopped = driver.canary()
    row = stopped["canary"]
    assert (row["state"], row["ended_by"], row["step"]) == ("rolled back", "guardrail", 1)
    assert row["reason"].startswith("the canary's ROI is -")
    assert row["settled"] is not None
    assert stopped["standing"]["earlier"] >= 3
    audit = driver.ok("GET", "/audit")["entries"]
    settled = next(entry for entry in audit if entry["action"] == "canary.settle")
    assert settled["after"] == {"outcome": "rolled back", "answers": {"policy": 1, "canary": 1}}
    aliases = {version.number: version.aliases for version in run.registry.versions()}
    assert aliases == {1: ("champion",), 2: ()}, "no challenger any more"
    answers = driver.routed()
    assert versions(answers, "canary") == {1}, "the champion serves them at once; the cycle is finished as it was"
    assert arms(driver.live()) == before

    driver.command("begin", "2", "--reason", "once more, it was the market")
    seen: list[set[str]] = []
    while driver.canary()["canary"]["state"] == "running":
        now = arms(driver.live(canary=1.02))
        seen.append({user for user, arm in now.items() if arm == "canary"})
        assert all(before[user] == "policy" for user in seen[-1])
        assert all(now[user] == before[user] for user in USERS if user not in seen[-1])
        assert len(seen) < 12
    assert all(earlier <= later for earlier, later in pairwise(seen)), "who is in it stays in it"
    assert len(seen[0]) < len(seen[-1]) / 3
    row = driver.canary()["canary"]
    assert (row["state"], [step["part"] for step in row["steps"]]) == ("promoted", [0.1, 0.5])
    assert row["settled"] is not None
    aliases = {version.number: version.aliases for version in run.registry.versions()}
    assert aliases == {1: ("previous",), 2: ("champion",)}
    answers = driver.live()
    assert arms(answers) == before
    assert versions(answers, "policy") == {2}
    text = driver.command("status")
    assert "version 2 against 1: promoted" in text
    assert "version 2 against 1: rolled back" in text
    verdict = driver.ok("GET", "/experiment.json")
    assert verdict["sample_ratio"]["verdict"] == "balanced", "who is in a canary is in the policy"
    marks = [mark["action"] for mark in verdict["phases"]]
    assert marks == [
        "canary.begin", "canary.end", "canary.begin", "canary.step", "canary.end", "bundle.serve",
    ]  # fmt: skip
    assert driver.server.end() == 0
