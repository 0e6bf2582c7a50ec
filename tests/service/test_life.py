"""An experiment's life in servers: replicas follow it, users, budgets, exploration and feedback agree, a start without
its database goes on with it."""

from __future__ import annotations

import asyncio
import json
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from crossmix.background import Loop
from crossmix.clock import MemoryClock
from crossmix.config import documented, load
from crossmix.exploration import Exploration
from crossmix.ledger import experiments
from crossmix.ledger.experiments import Plan
from crossmix.ledger.tables import assignments
from crossmix.registry.store import Registry
from serving.allocation.answer import Answerer
from serving.app import Settings, application
from serving.assignment.users import hashed
from serving.feedback import events as feedback
from serving.feedback.gaps import NOTHING
from serving.live.champion import Champion
from serving.live.live import Live
from serving.protocol.router import Here, RouterModel
from tests.support.served_process import SECONDS, Server
from tests.support.services import free_port
from tests.support.serving_run import BUDGET, CAMPAIGNS, NAMES, Run

BEGINS = datetime(2026, 1, 5, 9, tzinfo=UTC)
DAY = timedelta(days=1)
FIRST = CAMPAIGNS[0]
USERS = [f"user {n}" for n in range(200)]
BOLDER = Plan("bolder", "pepper", {"policy": 0.5, "control": 0.5}, 10, 0.05)


@pytest.fixture
def clock() -> MemoryClock:
    return MemoryClock(BEGINS)


def made(run: Run, clock: MemoryClock, folder: str = "serving", *changes: str, database: str | None = None) -> Live:
    """A server's state on this clock, without its threads; all share one database."""
    config = load("laptop", changes, dict(documented(run.config)))
    own = run.out / folder
    champion = Champion(own, lambda: Registry.of(run.config, run.out), run.out / "bundle", clock)
    champion.refresh()
    return Live(config, own, database or f"sqlite:///{run.out / 'shared.db'}", champion, run.features, clock)


@pytest.fixture
def live(run: Run, clock: MemoryClock) -> Iterator[Live]:
    one = made(run, clock)
    one.reload()
    one.store.clock = clock
    one.refresh_states()
    yield one
    one.stop()


def route(live: Live, users: list[str] = USERS, **more: Any) -> list[dict[str, Any]]:
    body = {"instances": [{"campaign_id": FIRST, "user_id": user, **more} for user in users]}
    answers: list[dict[str, Any]] = asyncio.run(RouterModel(live, Here(Answerer(live))).predict(body, None, {}))[
        "predictions"
    ]
    return answers


def arms(answers: list[dict[str, Any]]) -> list[str]:
    return [answer["arm"] for answer in answers]


def test_the_next_one_has_the_cycles_that_begin_in_it_on_every_replica(
    live: Live, run: Run, clock: MemoryClock
) -> None:
    replica = made(run, clock, "replica")
    replica.reload()
    replica.refresh_states()
    before = arms(route(live))
    assert arms(route(replica)) == before
    noise = route(live, ["user 0"])[0]
    experiments.begin(live.store, BOLDER, "anna", "version 2")
    for one in (live, replica):
        one._look()
        assert (one.experiment.id, one.snapshot.notes) == ("bolder", ())
        today = route(one)
        assert arms(today) == before, "a cycle under way is finished as it was"
        assert sorted({answer["budget"] for answer in today}) == pytest.approx([0.3 * BUDGET, 0.7 * BUDGET])
        waits = "experiment bolder has this campaign's cycles from the next one on; this one ends as it began"
        assert all(waits in answer["notes"] for answer in today)
    assert route(live, ["user 0"])[0]["allocation"] == noise["allocation"], "its exploration too"
    clock.advance(DAY)
    tomorrow = route(live)
    assert arms(tomorrow) == [live.experiment.arm(user) for user in USERS]
    assert arms(tomorrow) == arms(route(replica)) != before
    assert not any("bolder" in note for note in tomorrow[0]["notes"])
    assert sorted({answer["budget"] for answer in tomorrow}) == pytest.approx([0.5 * BUDGET])
    live.recorder.flush()
    with live.store.read() as connection:
        rows = connection.execute(sa.select(assignments.c.experiment, assignments.c.user)).all()
    assert {user for name, user in rows if name == "first"} == {hashed(user, "crossmix") for user in USERS}
    assert {user for name, user in rows if name == "bolder"} == {hashed(user, "pepper") for user in USERS}
    replica.stop()


def test_feedback_by_user_has_the_arm_and_the_hash_of_its_cycles_experiment(live: Live, clock: MemoryClock) -> None:
    served = dict(zip(USERS, arms(route(live)), strict=True))
    experiments.begin(live.store, BOLDER, "anna")
    live.reload()
    clock.advance(DAY)
    later = dict(zip(USERS, arms(route(live)), strict=True))
    assert served != later
    raws = [
        {"event_id": f"{cycle} {user}", "campaign_id": FIRST, "user_id": user, "platform": NAMES[0], "cycle": cycle}
        for cycle in (0, 1)
        for user in USERS
    ]
    events = feedback.check(raws, live.campaigns, live.platforms, live.experiment, clock())
    assert [event.arm for event in events] == [*served.values(), *later.values()]
    assert [event.user for event in events[:2]] == [hashed(user, "crossmix") for user in USERS[:2]]
    assert [event.user for event in events[-2:]] == [hashed(user, "pepper") for user in USERS[-2:]]


def test_a_policy_that_is_shipped_serves_everybody(live: Live, clock: MemoryClock) -> None:
    experiments.ship(live.store, "first", "anna", "it earns more")
    live.reload()
    answers = route(live)
    assert set(arms(answers)) == {"policy"}
    assert answers[0]["notes"] == ["the experiment has ended, the policy was shipped to every user: it earns more"]
    assert answers[0]["budget"] == pytest.approx(0.7 * BUDGET), "the cycle in which it shipped was shared"
    clock.advance(DAY)
    policy = route(live, ["ann"])[0]
    assert policy["budget"] == pytest.approx(BUDGET)
    static_P = live.snapshot.planned[FIRST].static_P
    split = [row["share"] for row in policy["allocation"]]
    assert split != pytest.approx(list(static_P), abs=1e-3), "the policy's own split"
    assert (live.weight("policy"), live.weight("control")) == (1.0, 0.0)
    live.recorder.flush()
    with live.store.read() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(assignments)).scalar_one() == 0


def test_a_start_without_its_database_goes_on_with_its_experiment(live: Live, run: Run, clock: MemoryClock) -> None:
    experiments.begin(live.store, BOLDER, "anna")
    live.reload()
    clock.advance(DAY)
    want = arms(route(live))
    note = run.out / "serving" / "campaigns.json"
    assert stat.S_IMODE(note.stat().st_mode) == 0o600, "salts are in it"
    again = made(run, clock, database="postgresql+psycopg://nobody@127.0.0.1:9/none")
    again.reload()
    assert "database" in [trouble["what"] for trouble in again.troubles()]
    assert again.experiment.id == "bolder"
    assert arms(route(again)) == want
    again.stop()
    # A note of a version before knows campaigns and no experiment: nobody can be put into an arm.
    kept = json.loads(note.read_text())
    note.write_text(json.dumps({"campaigns": kept["campaigns"], "ended": None, "ended_at": None}))
    older = made(run, clock, database="postgresql+psycopg://nobody@127.0.0.1:9/none")
    assert set(arms(route(older))) == {"control"}
    assert older.snapshot.notes == (
        "every user gets the static split: the database is away and no experiment is known yet",
    )
    older.stop()


def test_settings_of_a_start_without_the_database_are_refused_when_it_answers(
    live: Live, run: Run, clock: MemoryClock
) -> None:
    """The server goes on with the experiment as it runs, and says so, instead of following nothing any more."""
    config = load("laptop", ["serving.weight=0.5"], dict(documented(run.config)))
    started = Live(config, run.out / "late", live.database, live.champion, run.features, clock, ["weight"])
    started.watch(Loop("reader", 3_600, lambda: None))
    started.reload()
    assert started.experiment.weights == {"policy": 0.7, "control": 0.3}
    (trouble,) = [one for one in started.troubles() if one["what"] == "settings"]
    assert trouble["why"].startswith("serving.weight: 0.5, not 0.7 as the experiment 'first' began with")
    experiments.begin(live.store, BOLDER, "anna")
    started.reload()
    assert started.experiment.id == "bolder"
    started.stop()


def test_each_deployment_has_a_salt_of_its_own_that_is_shown_nowhere(run: Run, clock: MemoryClock) -> None:
    plain = replace(run, config=load("laptop"))
    salts = set()
    for folder in ("one", "two"):
        own = plain.out / folder
        champion = Champion(own, lambda: Registry.of(plain.config, plain.out), plain.out / "bundle", clock)
        live = Live(plain.config, own, f"sqlite:///{own / 'serving.db'}", champion, plain.features, clock)
        live.reload()
        live.refresh_states()
        salt = live.experiment.salt
        salts.add(salt)

        async def shown(live: Live = live) -> list[str]:
            transport = httpx.ASGITransport(application(live, Settings()))
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
                paths = ("/", "/page.json", "/serving", "/experiment", "/experiment.json", "/experiments", "/audit")
                texts = []
                for path in (*paths, "/experiments/first", "/openapi.json", "/metrics"):
                    reply = await client.get(path)
                    assert reply.status_code == 200, (path, reply.text)
                    texts.append(reply.text)
                return texts

        assert all(salt not in text for text in asyncio.run(shown()))
        live.stop()
        again = Live(plain.config, own, f"sqlite:///{own / 'serving.db'}", champion, plain.features, clock)
        again.reload()
        assert again.experiment.salt == salt, "kept in the database"
        again.stop()
    assert len(salts) == 2
    assert "crossmix" not in salts


def test_exploration_is_drawn_with_the_running_experiments_salt(live: Live, clock: MemoryClock) -> None:
    experiments.begin(live.store, BOLDER, "anna")
    live.reload()
    clock.advance(DAY)
    answerer, drawn = Answerer(live), []
    for salt in ("pepper", "crossmix"):
        key = (salt, FIRST, "policy", 1, live.bundle.digest)
        drawn.append(Exploration.of(live.config).keyed_noise(key, len(NAMES)))
    task = answerer._task(_question(live), "policy", live.champion.current, NOTHING, clock().timestamp())
    assert task.noise_P is not None
    assert task.noise_P.tolist() == drawn[0].tolist() != drawn[1].tolist()


@pytest.mark.slow
def test_a_whole_life_in_a_process(run: Run, serve: Callable[..., Server], tmp_path: Path) -> None:
    time_is = tmp_path / "clock"
    time_is.write_text(BEGINS.isoformat())
    settings = ("--grpc-port", "0", "--set", f"serving.clock={time_is}")
    server = serve(run, *settings)
    body = {"instances": [{"campaign_id": FIRST, "user_id": user} for user in USERS]}

    def routed(server: Server) -> list[str]:
        reply = server.http.post("/v1/models/router:predict", json=body)
        return [answer["arm"] for answer in reply.json()["predictions"]]

    first = routed(server)
    assert experiment("end", "first", "--server", server.url).returncode == 2, "no reason"
    begun = experiment("begin", "bolder", "--weight", "0.5", "--reason", "version 2", "--server", server.url)
    assert begun.returncode == 0, begun.stderr
    assert routed(server) == first
    time_is.write_text((BEGINS + DAY).isoformat())
    second = routed(server)
    assert second != first
    assert 60 < second.count("policy") < 140
    refused = [("extend", "first", "--days", "30"), ("ship", "first"), ("archive", "bolder"), ("begin", "bolder")]
    for step in refused:
        answer = experiment(*step, "--server", server.url)
        assert (answer.returncode, answer.stderr.count("\n")) == (2, 1), answer.stderr
    assert routed(server) == second
    assert experiment("ship", "bolder", "--reason", "it earns more", "--server", server.url).returncode == 0
    assert set(routed(server)) == {"policy"}
    server.end(signal.SIGKILL)
    again = serve(run, *settings)
    assert set(routed(again)) == {"policy"}
    assert again.http.get("/serving").json()["experiment"]["everybody"] == "policy"
    steps = [
        (row["subject"], row["action"])
        for row in reversed(again.http.get("/audit").json()["entries"])
        if row["action"].startswith("experiment.")
    ]
    assert steps == [
        ("first", "experiment.begin"),
        ("first", "experiment.end"),
        ("bolder", "experiment.begin"),
        ("bolder", "experiment.end"),
        ("bolder", "experiment.ship"),
    ]
    with sqlite3.connect(run.out / "serving" / "serving.db") as connection:
        salts = [salt for (salt,) in connection.execute("SELECT salt FROM experiments WHERE salt <> 'crossmix'")]
    connection.close()
    assert len(salts) == 1
    assert salts[0] not in server.log.read_text() + again.log.read_text() + begun.stdout + begun.stderr
    again.end()
    changed = cli("serve", str(run.out), "--port", str(free_port()), *settings, "--set", "serving.weight=0.7")
    assert changed.returncode == 2
    assert changed.stderr.splitlines()[-1].startswith("error: serving.weight: 0.7, not 0.5 as the experiment 'bolder'")


def cli(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pipelines.cli.main", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS)


def experiment(*arguments: str) -> subprocess.CompletedProcess[str]:
    return cli("experiment", *arguments)


def _question(live: Live) -> Any:
    from serving.allocation.question import of_instances

    return of_instances({"instances": [{"campaign_id": FIRST}]}, live.bundle.layout)[0]
