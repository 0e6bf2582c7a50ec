"""A report that cannot be so, in a real server on a moved clock: held within a tick, told, decided by a person."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from crossmix.market import usual_file
from crossmix.state import ALLOCATION
from feature_repo import features
from pipelines.cli.main import app
from tests.support.honest_feed import report, usual_of
from tests.support.served_process import SECONDS, Server, tick
from tests.support.serving_run import CAMPAIGNS, NAMES, Run, instance, save_bundle

BEGINS = datetime(2026, 1, 5, tzinfo=UTC)
NAME = CAMPAIGNS[0]
PARTS = {"policy": 0.7, "control": 0.3}


class Feed:
    """A server on a file's clock, and what its campaign's platforms report."""

    def __init__(self, server: Server, run: Run, clock: Path) -> None:
        self.server, self.run, self.clock = server, run, clock
        self.http = httpx.Client(base_url=server.url, timeout=SECONDS)
        self.named = usual_of(CAMPAIGNS, NAMES)

    def at(self, cycle: float) -> dict[str, Any]:
        """So many days after the start, everything done; the policy's answer."""
        self.clock.write_text((BEGINS + timedelta(days=cycle)).isoformat())
        done = tick(self.http)
        assert [part["trouble"] for part in done["parts"]] == [None] * len(done["parts"])
        answer: dict[str, Any] = self._ask("policy")
        return answer

    def _ask(self, arm: str) -> dict[str, Any]:
        reply = self.http.post(f"/v1/models/{arm}:predict", json=instance(NAME))
        assert reply.status_code == 200, reply.text
        answer: dict[str, Any] = reply.json()["predictions"][0]
        return answer

    def play(self, cycle: int, times: float = 1.0) -> dict[str, Any]:
        """The cycle is asked for at noon, and reported, the policy's revenue so many times what it was."""
        answer = self.at(cycle + 0.5)
        events = []
        for arm, part in PARTS.items():
            told = {line["platform"]: line["amount"] for line in self._ask(arm)["allocation"]}
            for row in report(self.named, NAME, BEGINS + timedelta(days=cycle), part, told):
                row["revenue"] *= times if arm == "policy" else 1.0
                key = f"{arm}-{cycle}-{row['platform']}"
                events.append({"event_id": key, "campaign_id": NAME, "arm": arm, "cycle": cycle, **row})
        receipt = self.http.post("/feedback", json=events).json()
        assert receipt["accepted"] == len(events), receipt
        return answer

    def held(self) -> list[dict[str, Any]]:
        cells: list[dict[str, Any]] = self.http.get("/quarantine", params={"state": "held"}).json()["cells"]
        return cells

    def roi(self) -> float:
        """The campaign's windowed ROI, as the policy's state has it."""
        row = features.online_statistics(self.run.features, [NAME], "policy")[0]
        return float(ALLOCATION.of_campaign(row, "windowed_roi"))


@pytest.fixture
def feed(run: Run, serve: Callable[..., Server], tmp_path: Path) -> Feed:
    """Under a bundle that knows what is usual."""
    extras = {"usual.npz": usual_file.as_bytes(usual_of(CAMPAIGNS, NAMES))}
    made = save_bundle(tmp_path / "with_usual", run.config, 3, extras=extras)
    version = run.registry.register(made.path, wins=False)
    run.registry.promote(version.number, actor="ann", reason="it knows what is usual")
    clock = tmp_path / "clock"
    clock.write_text(BEGINS.isoformat())
    settings = ("--grpc-port", "0", "--set", f"serving.clock={clock}", "--set", "serving.explore=false")
    return Feed(serve(run, *settings), run, clock)


@pytest.mark.slow
def test_a_poisoned_report_is_held_told_and_believed_once_a_person_says_so(feed: Feed) -> None:
    for cycle in range(4):
        feed.play(cycle)
    answer = feed.at(4)
    assert (answer["degraded"], feed.held()) == ([], [])
    good = feed.roi()
    feed.play(4, times=100.0)
    answer = feed.at(5)
    held = feed.held()
    assert {(cell["arm"], cell["cycle"], cell["state"]) for cell in held} == {("policy", 4, "held")}
    assert {cell["platform"] for cell in held} == set(NAMES)
    assert {cell["quantity"] for cell in held} == {"value"}
    # The state is that of the good cycles: a revenue of a hundred times is in none of it.
    assert feed.roi() == pytest.approx(good, rel=0.1)
    assert {one["what"] for one in answer["degraded"]} == {"guard"}
    said = [one["why"] for one in answer["degraded"]]
    assert f"cells of platform {NAMES[0]} of campaign {NAME}, arm policy held since cycle 4: value 1e+02x" in said[0]
    assert said[0] in answer["notes"]
    assert feed.http.get("/healthz").json()["degraded"] == answer["degraded"]
    assert f'crossmix_feedback_held_cells{{arm="policy",campaign="{NAME}"}} 10.0' in feed.http.get("/metrics").text
    page = feed.http.get("/", params={"campaign": NAME}, headers={"accept": "text/html"}).text
    assert "Held reports" in page
    assert f"/desk/confirm?campaign={NAME}" in page
    # It decides nothing: the cycle counts for neither arm.
    assert feed.http.get("/experiment.json").json()["cycles"]["campaign_cycles_held"] == 1

    listed = CliRunner().invoke(app, ["guard", "list", NAME, "--server", feed.server.url])
    assert listed.exit_code == 0
    assert listed.stdout.count("held") == 10
    said = ["guard", "confirm", NAME, "--reason", "prices rose a hundredfold", "--server", feed.server.url]
    confirmed = CliRunner().invoke(app, said)
    assert confirmed.exit_code == 0, confirmed.output
    again = CliRunner().invoke(app, said)
    assert (again.exit_code, "nothing of 'c0' is held" in again.output) == (2, True)
    answer = feed.at(5.1)
    assert (feed.held(), answer["degraded"]) == ([], [])
    assert feed.roi() > 10 * good
    trail = feed.http.get("/audit", params={"subject": NAME, "limit": 1000}).json()["entries"]
    kinds = [(one["action"], one["actor"], one["reason"]) for one in trail if one["action"].startswith("feedback.")]
    assert set(kinds) == {
        ("feedback.hold", "guard", ""),
        ("feedback.confirm", "local", "prices rose a hundredfold"),
    }

    # What was confirmed is believed when it comes again; another size is not.
    feed.play(5, times=100.0)
    feed.at(6)
    assert feed.held() == []
    feed.play(6, times=0.001)
    feed.at(7)
    assert {(cell["arm"], cell["cycle"]) for cell in feed.held()} == {("policy", 6)}
    body = {"campaign_id": NAME, "state": "discarded", "reason": "a broken feed"}
    reply = feed.http.post("/quarantine", json=body)
    assert (reply.status_code, {cell["state"] for cell in reply.json()["cells"]}) == (200, {"discarded"})
    feed.at(7.1)
    assert feed.held() == []
    assert feed.server.end() == 0
