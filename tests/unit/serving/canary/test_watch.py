"""The loop that looks at a canary: what it asks of the registry, once, and that it believes the server alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from crossmix.ledger import audit, canaries, experiments
from crossmix.ledger.canaries import Canary
from crossmix.ledger.store import Store
from serving.canary.watch import Watch
from tests.support.experiments import DAY, START, deliver
from tests.unit.serving.canary.test_rail import days, made

AT = START + 10 * DAY


@dataclass
class Named:
    number: int


@dataclass
class FakeRegistry:
    """Aliases, and what was asked."""

    champion: int = 1
    asked: list[tuple[Any, ...]] = field(default_factory=list)
    away: bool = False

    def get(self, version: str | int) -> Named:
        if self.away:
            raise ConnectionError("registry: refused")
        assert version == "champion"
        return Named(self.champion)

    def promote(self, version: str | int, *, actor: str, reason: str, over: int | None = None) -> Named:
        if over is not None and self.champion not in (over, version):
            raise LookupError(f"version {self.champion} is champion by now, not {over}")
        self.asked.append(("promote", version, actor))
        self.champion = int(version)
        return Named(self.champion)

    def refuse(self, version: str | int, *, actor: str, reason: str) -> Named:
        self.asked.append(("refuse", version, actor))
        return Named(int(version))


class Server:
    """Answers by the champion that it last saw."""

    def __init__(self, registry: FakeRegistry) -> None:
        self.registry, self.version, self.deaf = registry, registry.champion, False

    def changed(self) -> None:
        if not self.deaf:
            self.version = self.registry.champion

    def answers(self) -> dict[str, int | None]:
        return {"policy": self.version, "canary": self.version}


def watch(store: Store, registry: FakeRegistry, server: Server, *, at: Any = AT, grace: float = 60.0) -> Watch:
    store.clock = lambda: at
    return Watch(lambda: store, lambda: registry, server.changed, server.answers, now=lambda: at, grace=grace)


def newest(store: Store) -> Canary:
    return canaries.load_all(store)[-1]


@pytest.fixture
def bad(tmp_path: Path) -> Store:
    store, _ = made(tmp_path)
    deliver(store, days([0.6, 0.62, 0.61, 0.59]))
    return store


def test_a_bad_one_ends_and_the_champion_is_verified(bad: Store) -> None:
    registry = FakeRegistry()
    watch(bad, registry, Server(registry)).look()
    row = newest(bad)
    assert (row.outcome, row.ended_by, row.ended, row.settled) == ("rolled back", "guardrail", AT, AT)
    assert row.reason is not None
    assert row.reason.endswith("wholly below 0%")
    assert registry.asked == [("refuse", 2, "guardrail")]
    entry = audit.trail(bad, "version 2")[0]
    assert (entry.action, entry.after["answers"]) == ("canary.settle", {"policy": 1, "canary": 1})
    watch(bad, registry, Server(registry)).look()
    assert registry.asked == [("refuse", 2, "guardrail")], "once"


def test_it_is_settled_only_once_the_server_answers_with_the_champion(bad: Store) -> None:
    registry = FakeRegistry()
    server = Server(registry)
    server.version, server.deaf = 2, True
    loop = watch(bad, registry, server)
    loop.once()
    assert loop.trouble == (
        "version 1 is champion, and the server answers arm canary by version 2, arm policy by version 2; "
        "it is asked again"
    )
    assert (newest(bad).outcome, newest(bad).settled) == ("rolled back", None)
    server.deaf = False
    loop.once()
    assert loop.trouble is None
    assert newest(bad).settled == AT


def test_a_registry_that_is_away_is_asked_again_and_another_replica_takes_over(bad: Store) -> None:
    registry = FakeRegistry(away=True)
    loop = watch(bad, registry, Server(registry))
    loop.once()
    assert loop.trouble == "ConnectionError: registry: refused"
    assert newest(bad).outcome == "rolled back", "its users are the champion's all the same"
    registry.away = False
    watch(bad, registry, Server(registry)).look()
    assert newest(bad).settled is None, "the replica that ended it has a minute for it"
    later = AT + timedelta(seconds=61)
    watch(bad, registry, Server(registry), at=later).look()
    assert newest(bad).settled == later


def test_a_good_one_takes_its_steps_and_is_promoted(tmp_path: Path) -> None:
    store, _ = made(tmp_path)
    registry = FakeRegistry()
    deliver(store, days([1.0, 1.02, 0.99, 1.01, 1.0, 0.98, 1.01]))
    watch(store, registry, Server(registry), at=START + 12 * DAY).look()
    assert (newest(store).step, newest(store).ended) == (0, None), "6 of 7 cycles"
    step = START + 13 * DAY
    watch(store, registry, Server(registry), at=step).look()
    assert (newest(store).step, newest(store).part, newest(store).step_began) == (1, 0.5, step)
    watch(store, registry, Server(registry), at=step).look()
    assert newest(store).step == 1
    more = [row for row in days([1.0, 1.01] * 4, first=13) if row["cycle"] >= 16]
    sizes = {"policy": 0.35 / 0.63, "canary": 0.35 / 0.07, "control": 1.0}
    for row in more:
        row |= {name: row[name] * sizes[row["arm"]] for name in ("revenue", "spend", "conversions")}
    deliver(store, more)
    watch(store, registry, Server(registry), at=START + 20 * DAY).look()
    row = newest(store)
    assert (row.outcome, row.ended_by, row.settled) == ("promoted", "canary", START + 20 * DAY)
    assert row.reason is not None
    assert row.reason.startswith("7 cycles with 50% of the policy's users: the canary's ROI is ")
    assert (registry.champion, registry.asked) == (2, [("promote", 2, "canary")])


def test_a_champion_that_somebody_else_made_stays(tmp_path: Path) -> None:
    store, row = made(tmp_path)
    registry = FakeRegistry(champion=3)
    canaries.end(store, row, canaries.PROMOTED, "passed", "canary")
    watch(store, registry, Server(registry), at=START + 10 * DAY).look()
    assert (registry.champion, registry.asked) == (3, [])
    entry = audit.trail(store, "version 2")[0]
    assert entry.reason == "version 3 is champion by now, which it was never compared with: it stays"


def test_a_promotion_that_was_cut_off_after_the_registry_is_settled_as_one(tmp_path: Path) -> None:
    store, row = made(tmp_path)
    registry = FakeRegistry(champion=2)
    canaries.end(store, row, canaries.PROMOTED, "passed", "canary")
    watch(store, registry, Server(registry), at=START + 10 * DAY).look()
    entry = audit.trail(store, "version 2")[0]
    assert (entry.reason, entry.after["answers"]) == ("passed", {"policy": 2, "canary": 2})


def test_an_experiment_that_ends_ends_it(tmp_path: Path) -> None:
    store, _ = made(tmp_path)
    registry = FakeRegistry()
    deliver(store, days([1.0, 1.0]))
    experiments.end(store, "first", "the policy lost", "guardrail")
    watch(store, registry, Server(registry), at=START + 8 * DAY).look()
    row = newest(store)
    assert (row.outcome, row.reason) == ("ended", "experiment first has ended: every user gets the static split")
    assert (row.settled, registry.asked) == (START + 8 * DAY, [])
