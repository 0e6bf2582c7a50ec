"""A loop in fast time: market, server, feedback and what heals them, in lock-step by one clock.

A day, at one moment of the clock: all that is due is done (statistics of the day before, guard, guardrails); whoever
watches looks at the day before, and what it sets going is waited for; then every arm is asked for its split, the day is
played with that split and that money, and what is known at its end is told.

Shapes: B campaigns, P platforms.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor
from tqdm import tqdm

from components import lifeline
from crossmix import files
from crossmix.clock import FileClock
from crossmix.config import Config, ConfigError
from crossmix.evaluate.loop.diary import Diary
from crossmix.evaluate.loop.poison import Poison
from crossmix.evaluate.loop.reports import Event, Reporter
from crossmix.evaluate.loop.world import ArmWorld, Day, worlds
from crossmix.market.model import Market
from crossmix.market.model import load as load_market
from crossmix.market.shift import SCENARIOS, shift
from crossmix.metrics import ARMS, EVERY_ARM
from pipelines import local
from pipelines.cli.database import opened
from pipelines.loop.asking import Server, ServerError
from pipelines.loop.book import Book
from pipelines.loop.copied import copy, settings
from pipelines.loop.healing import Healing
from pipelines.loop.processes import Household, free_port

BEGINS = datetime(2026, 1, 5, tzinfo=UTC)
"""A Monday: the first day."""
MECHANISMS = ("exact", "counts")
REASON = "crossmix loop simulate"


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is simulated."""

    days: int = 60
    campaigns: int = 3
    """The market's first so many."""
    market: str = "exact"
    """Mechanism: `MECHANISMS`."""
    seed: int = 1
    scenario: str | None = None
    """Of `crossmix.market.shift.SCENARIOS`, from `start_day` on."""
    size: float | None = None
    platforms: tuple[str, ...] = ()
    start_day: int | None = None
    """Of scenario and poison; a third of the days if `None`."""
    duration: int | None = None
    """Days of scenario and poison; the scenario's own, or for good, if `None`."""
    poison: str | None = None
    arms: str = "both"
    """Whose feed is poisoned."""
    silent: bool = False
    """A platform that delivers nothing reports nothing, in place of complete zeros."""
    loop: bool = True
    """Whether anybody watches and re-adapts."""
    refit: int | None = None
    """Every so many days a re-adaptation is asked for without an alert, as a schedule does; `None`: never."""

    @property
    def start(self) -> int:
        return self.days // 3 if self.start_day is None else self.start_day

    @property
    def settings(self) -> list[str]:
        """What the served run's config must say. A salt of the seed pairs what is explored, too."""
        return [f"serving.days={self.days}", f"serving.salt=loop-{self.seed}"]

    def check(self) -> None:
        """Raise `ConfigError` for what cannot be simulated."""
        if self.market not in MECHANISMS:
            raise ConfigError(f"--market {self.market!r}: is unknown; use {' or '.join(MECHANISMS)}")
        if self.scenario is not None and self.scenario not in SCENARIOS:
            raise ConfigError(f"--scenario {self.scenario!r}: is unknown; use one of {', '.join(SCENARIOS)}")
        if self.scenario is None and (self.size is not None or self.platforms):
            raise ConfigError("--size, --platforms: they are a scenario's; add --scenario NAME")
        if not 0 <= self.start < self.days:
            raise ConfigError(f"--start-day {self.start}: the last day is {self.days - 1}; give an earlier one")

    def market_of(self, market: Market) -> Market:
        """The market in which it plays; raises `ConfigError`."""
        if self.campaigns > len(market.campaigns):
            raise ConfigError(
                f"--campaigns {self.campaigns}: the market has {len(market.campaigns)}; give that or fewer"
            )
        if self.scenario is None:
            return market
        more: dict[str, Any] = {} if self.duration is None else {"duration": self.duration}
        return shift(market, self.scenario, size=self.size, platforms=self.platforms or None, start=self.start, **more)

    def poisoned(self) -> Poison | None:
        """What breaks in the feed; raises `ConfigError`."""
        if self.poison is None:
            return None
        stop = self.days if self.duration is None else self.start + self.duration
        return Poison(self.poison, self.start, stop, self.arms)


class Watcher(Protocol):
    """Whoever looks at a served day."""

    def look(self, moment: datetime, day: int) -> dict[str, Any]:
        """Look at what was reported before `moment`, wait for what that sets going; what the diary keeps."""
        ...


class Simulation:
    """A flight under way.

    Args:
        server: serves the market's campaigns on its clock; `book`: its ledger.
        watcher: `None`: nobody watches.
    """

    def __init__(
        self,
        question: Question,
        market: Market,
        config: Config,
        server: Server,
        book: Book,
        watcher: Watcher | None = None,
    ) -> None:
        self.question, self.server, self.book, self.watcher = question, server, book, watcher
        self.names, self.platforms = market.campaigns[: question.campaigns], market.platforms
        given: dict[str, Any] = {"campaigns": question.campaigns, "cycles": question.days, "seed": question.seed}
        self.worlds: dict[str, ArmWorld] = worlds(
            market, config, EVERY_ARM, mechanism=question.market, weekday=BEGINS.weekday(), **given
        )
        self.reporters = {arm: Reporter(arm, self.names, self.platforms, question.silent) for arm in self.worlds}
        self.poison = question.poisoned()
        self.spend_P = torch.zeros(len(self.platforms), dtype=torch.float64)
        """Of the policy's arm so far, currency: which platform has most."""
        self.diary = Diary(asdict(question) | {"start": question.start})

    def begin(self) -> None:
        """The campaigns that are played have a flight of the simulation's days; others are paused."""
        known = {one["campaign_id"] for one in self.server.ask("GET", "/campaigns")["campaigns"]}
        missing = [name for name in self.names if name not in known]
        if missing:
            raise ConfigError(f"campaign {missing[0]!r}: the market has it and the bundle does not; make the run again")
        for name in sorted(known):
            if name in self.names:
                flight = {"starts": BEGINS.isoformat(), "cycles": self.question.days}
                self.server.ask("PATCH", f"/campaigns/{name}", flight, reason=REASON)
            else:
                self.server.ask("POST", f"/campaigns/{name}/pause", reason=f"{REASON}: it is not played")

    def day(self, day: int) -> None:
        """Play a day."""
        moment = moment_of(day)
        self.server.at(moment)
        seen = {} if self.watcher is None else self.watcher.look(moment, day)
        seen |= self.book.news()
        if seen["runs"] or seen.get("scheduled"):
            self.server.tick()  # a run may have moved the champion, or begun a canary
        parts = self.book.parts(BEGINS + timedelta(days=day))
        arms, events, told = {}, list[Event](), dict[str, tuple[Tensor, Tensor]]()
        for arm in self.worlds:
            if parts[arm] > 0:
                answers = self.server.answers(arm, self.names)
                told[arm] = told_of(answers)
                arms[arm] = {"version": answers[0]["version"], "bundle": answers[0]["bundle"][:12]} | {
                    "degraded": sorted({one["what"] for answer in answers for one in answer["degraded"]})
                }
        for arm, world in self.worlds.items():
            played = world.day(*told[arm], parts[arm]) if arm in told else None
            if played is None:
                world.day(world.static_BP, torch.zeros(len(self.names)), 0.0)
            else:
                arms[arm] |= sums(played) | {"part": parts[arm]}
            reported = self.reporters[arm].events(day, played)
            if arm == ARMS[0] and played is not None:
                self.spend_P += played.outcome.spend.sum(0).double()
            reported = self._as_reported(reported, arm, day)
            if arm in arms:
                arms[arm]["reported"] = {
                    name: sum(event.get(name, 0.0) for event in reported)
                    for name in ("spend", "conversions", "revenue")
                }
            events += reported
        self.server.tell(events)
        self.diary.days.append(
            {"day": day, "date": moment.date().isoformat(), "arms": arms, "events": len(events)} | seen
        )

    def _as_reported(self, events: list[Event], arm: str, day: int) -> list[Event]:
        if self.poison is None:
            return events
        order = self.spend_P.argsort(descending=True).tolist()
        top, other = (self.platforms[slot] for slot in order[:2])
        return self.poison.of(events, arm, day, top, other)


def moment_of(day: int) -> datetime:
    """The one moment of a day at which everything happens: its last hour."""
    return BEGINS + timedelta(days=day, hours=23)


def told_of(answers: list[dict[str, Any]]) -> tuple[Tensor, Tensor]:
    """Shares (B, P) and budgets (B,), currency, of an arm's answers."""
    share_BP = torch.tensor([[line["share"] for line in one["allocation"]] for one in answers], dtype=torch.float32)
    return share_BP / share_BP.sum(1, keepdim=True), torch.tensor([one["budget"] for one in answers])


def sums(played: Day) -> dict[str, float | None]:
    """`crossmix.evaluate.loop.diary.SUMS` of an arm's day."""
    outcome = played.outcome
    figures = {
        name: float(getattr(outcome, name).double().sum()) for name in ("planned", "spend", "revenue", "conversions")
    }
    expected = outcome.expected_revenue
    return figures | {"expected_revenue": None if expected is None else float(expected.double().sum())}


def simulate(
    out: Path,
    folder: Path,
    question: Question,
    overrides: list[str],
    said: Callable[[str], None],
) -> Diary:
    """Play a flight; its diary stands in `folder` also where it was stopped before its end.

    Args:
        out: a finished run; it stays as it is.
        folder: is made; gets a copy of the run, the processes' logs, loop.json.
        overrides: changes of the run's config.
        said: is told what is done, in lines.

    Raises:
        ConfigError: what cannot be simulated.
        ProcessError, ServerError: a process that ended, or did not do what it should.
    """
    question.check()
    settings(out, overrides)  # told before anything is started
    fitted = load_market(local.step_folder(out, "market"))
    if fitted.cycle_hours != 24:
        raise ConfigError(f"{out}: its cycles have {fitted.cycle_hours} hours; a simulation plays days")
    market = question.market_of(fitted)
    began = time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    with lifeline.hold(folder), Household(folder / "logs") as household:
        run = folder / "run"
        if run.exists():
            raise ConfigError(f"--out {folder}: it holds a simulation already; name a new folder")
        healing = Healing(household, folder) if question.loop else None
        more = [] if healing is None else healing.settings
        own = copy(out, run, settings(out, [*question.settings, *more, *overrides]))
        clock = folder / "clock"
        files.write(clock, BEGINS.isoformat())
        url = serve(household, run)
        said(f"the page: {url}")
        server = Server(url, clock)
        with opened(f"sqlite:///{(run / 'serving' / 'serving.db').absolute()}", FileClock(clock)) as store:
            simulation = Simulation(question, market, own, server, Book(store))
            try:
                simulation.begin()
                if healing is not None:
                    healing.start(run, url)
                    simulation.watcher = healing.watcher(store, own.alerts.webhook.again, question.refit)
                _played(simulation, household, began)
            finally:
                server.close()
                if simulation.diary.days:
                    simulation.diary.save(folder)
    return simulation.diary


def serve(household: Household, run: Path) -> str:
    """Start the server of a run; its address, once it answers."""
    port = free_port()
    process = household.start("serve", "serve", str(run), "--port", str(port), "--grpc-port", "0")
    url = f"http://127.0.0.1:{port}"
    process.answers(url, "/v2/health/ready")
    return url


def _played(simulation: Simulation, household: Household, began: float) -> None:
    cost = simulation.diary.cost
    cost["start"] = round(time.monotonic() - began, 3)
    driver, before = time.process_time(), {one.name: one.cpu_seconds() for one in household.processes}
    for day in tqdm(range(simulation.question.days), desc="loop", unit="day", mininterval=1.0):
        household.check()
        simulation.day(day)
        cost |= {"wall": round(time.monotonic() - began, 3), "cpu_driver": round(time.process_time() - driver, 3)}
        spent = {one.name: one.cpu_seconds() - before[one.name] for one in household.processes}
        cost |= {f"cpu_{name}": round(seconds, 3) for name, seconds in spent.items() if math.isfinite(seconds)}


__all__ = ["BEGINS", "Question", "ServerError", "Simulation", "Watcher", "moment_of", "simulate"]
