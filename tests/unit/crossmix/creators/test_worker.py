"""Plans with names, and the process that makes them: it answers, refuses, ends in time, and comes again."""

import multiprocessing
import os
import signal
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest

from crossmix.creators import effect, generated
from crossmix.creators.brief import Brief, InfeasibleError
from crossmix.creators.matrix import check
from crossmix.creators.plan import Plan, interval
from crossmix.creators.problem import Before, pose
from crossmix.creators.settings import Effects, Solver
from crossmix.creators.solve import PlanError, solve
from crossmix.creators.worker import Planner, Worker
from tests.support import creators

WORLD = generated.demo(300, seed=9)


def _brief(**changes) -> Brief:
    return creators.brief(**{"budget": 40_000, "rules": [creators.ORDER], **changes})


def _planner(**solver) -> Planner:
    settings = Solver(**{"seconds": 0.5, **solver})
    return Planner(WORLD.catalogue, effect.fit(WORLD.catalogue), Effects(draws=400), settings)


def test_a_plan_has_names_sums_and_an_interval() -> None:
    planner = _planner()
    plan = planner.plan(_brief())
    assert check(WORLD.catalogue, _brief(), [(one.creator_id, one.phase) for one in plan.choices]) == []
    assert plan.cost == pytest.approx(sum(one.cost for one in plan.choices))
    assert plan.cost == pytest.approx(sum(cell.cost for cell in plan.cells))
    assert plan.effect == pytest.approx(sum(cell.effect for cell in plan.cells))
    assert len(plan.choices) == sum(cell.creators for cell in plan.cells)
    assert plan.low < plan.effect < plan.high
    assert plan.effect < plan.value <= plan.bound
    assert plan.gap == pytest.approx(1 - plan.value / plan.bound)
    assert set(plan.rule_prices) == {"head >= mid", "mid >= tail"}
    for one in (*plan.choices, *(cell for cell in plan.cells if cell.creators)):
        assert one.low < one.high
    assert all(cell.low == cell.high == cell.effect == 0 for cell in plan.cells if not cell.creators)
    names = {one.creator_id for one in plan.choices}
    assert plan.next_in not in names
    assert plan.candidate is not None
    assert plan.candidate.creator_id == plan.next_in
    assert plan.candidate.cost == WORLD.catalogue.price_N[WORLD.catalogue.ids.index(plan.next_in or "")]
    assert plan.last_out in names
    assert plan.plain()["choices"][0]["creator_id"] in names


def test_the_interval_covers_what_plans_give() -> None:
    """80 %, over fresh worlds: each world's true effects, with the chance of a result drawn anew."""
    covered = []
    for seed in range(16):
        world = generated.demo(300, seed=900 + seed)
        planner = Planner(world.catalogue, effect.fit(world.catalogue))
        problem = pose(world.catalogue, planner.mean_N, _brief())
        solution = solve(problem, Solver(seconds=0.2))
        low, high = interval(problem, solution, planner.posterior, 400)
        rng, spread = np.random.default_rng(seed), generated.RESULT_SPREAD
        chance_DN = np.exp(rng.normal(-(spread**2) / 2, spread, (50, len(problem))))
        given = [problem.value(solution.cell_N, world.effect_N[problem.row_N] * chance_N) for chance_N in chance_DN]
        covered.append(np.mean([low <= value <= high for value in given]))
    assert np.mean(covered) == pytest.approx(0.8, abs=3 * np.std(covered) / 4 + 0.02)


class Dying(Planner):
    """Its process ends as it plans."""

    def plan(self, brief: Brief, before: Before | None = None) -> Plan:
        os._exit(3)


class Slow(Planner):
    """It never answers."""

    def plan(self, brief: Brief, before: Before | None = None) -> Plan:
        time.sleep(600)
        raise AssertionError


@pytest.mark.slow
def test_a_worker_answers_refuses_and_comes_again() -> None:
    with Worker(_planner()) as worker:
        assert worker.pid is None
        plan = worker.plan(_brief())
        first = worker.pid
        assert first is not None
        assert first != os.getpid()
        assert check(WORLD.catalogue, _brief(), [(one.creator_id, one.phase) for one in plan.choices]) == []
        floors = [
            {"kind": "share", "of": "budget", "channel": name, "least": least}
            for name, least in (("tiktok", 0.8), ("instagram", 0.5))
        ]
        with pytest.raises(InfeasibleError) as told:
            worker.plan(_brief(rules=floors))
        assert set(told.value.rules) == {"tiktok >= 0.8 of budget", "instagram >= 0.5 of budget"}
        assert worker.pid == first
        os.kill(first, signal.SIGKILL)
        os.waitid(os.P_PID, first, os.WEXITED | os.WNOWAIT)
        assert worker.plan(_brief()).cost > 0
        last = worker.pid
        assert last not in (None, first)
    assert worker.pid is None
    with pytest.raises(ProcessLookupError):
        os.kill(last or 0, 0)


class Unborn(Planner):
    """Its process ends before it is ready."""

    def __setstate__(self, state: dict) -> None:
        os._exit(3)


@pytest.mark.slow
def test_a_worker_that_does_not_start_is_told() -> None:
    of = _planner()
    with Worker(Unborn(of.catalogue, of.predictor)) as worker:
        with pytest.raises(PlanError, match="the planning process did not start"):
            worker.start()
        assert worker.pid is None


@pytest.mark.slow
def test_a_worker_that_ends_or_takes_too_long_is_told() -> None:
    of = _planner()
    for kind, seconds, says in ((Dying, 0.5, "ended before it answered"), (Slow, 0.1, "no plan within 0.2 s")):
        planner = kind(
            of.catalogue, of.predictor, solver=Solver(seconds=seconds, grace=seconds if kind is Slow else 60)
        )
        with Worker(planner) as worker:
            with pytest.raises(PlanError, match=says):
                worker.plan(_brief())
            assert worker.pid is None


class Silent:
    """A process that begins and never says that it is ready, with its end of the pipe."""

    pid, killed = 1, False

    def __init__(self) -> None:
        self.here, self.there = multiprocessing.Pipe()
        self.begun = threading.Event()

    def pipe(self) -> tuple[object, object]:
        kept = SimpleNamespace(close=lambda: None)  # the other end stays open, as in a process that has it
        return self.here, kept

    def start(self) -> None:
        self.begun.set()

    def is_alive(self) -> bool:
        return not self.killed

    def kill(self) -> None:
        self.killed = True

    def join(self) -> None:
        assert self.killed


def test_closed_while_it_starts_nobody_waits_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    silent, told = Silent(), []
    context = SimpleNamespace(Pipe=silent.pipe, Process=lambda **_: silent)
    monkeypatch.setattr(multiprocessing, "get_context", lambda _: context)
    worker = Worker(_planner())

    def start() -> None:
        with pytest.raises(PlanError) as error:
            worker.start()
        told.append(str(error.value))

    starting = threading.Thread(target=start)
    starting.start()
    assert silent.begun.wait(60)
    worker.close()
    starting.join(60)
    assert not starting.is_alive()
    assert told == ["the planning process was ended, as another plans now; ask again"]
    assert (silent.killed, worker.pid) == (True, None)


def test_a_process_that_cannot_begin_is_told_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    of = _planner()
    with Worker(Planner(of.catalogue, of.predictor, solver=of.solver)) as worker:

        def full(self: object) -> None:
            raise OSError(11, "Resource temporarily unavailable")

        with monkeypatch.context() as patch:
            patch.setattr("multiprocessing.context.SpawnProcess.start", full)
            for _ in range(2):
                with pytest.raises(PlanError, match=r"did not start .*Resource temporarily unavailable.*; ask again"):
                    worker.plan(_brief())
                assert worker.pid is None
        worker.start()
        assert worker.pid is not None
    with pytest.raises(PlanError, match="was ended, as another plans now"):
        worker.plan(_brief())
