"""A process that plans, so that whoever asks waits for an answer and for no longer than a time limit.

The process is started once, with the catalogue, and holds it: a request is a brief alone. A plan that does not come
within the solver's seconds and the grace ends the process; the next request starts another. Calls wait: a server calls
`plan` on a thread of its own (`loop.run_in_executor`), never on the event loop.
"""

from __future__ import annotations

import multiprocessing
import signal
import threading
import time
import traceback
from multiprocessing.connection import Connection
from typing import Any

from crossmix.creators.brief import Brief
from crossmix.creators.catalogue import Catalogue
from crossmix.creators.effect import Posterior, Predictor
from crossmix.creators.plan import Plan, named
from crossmix.creators.problem import Before, Problem, pose
from crossmix.creators.settings import Effects, Solver
from crossmix.creators.solve import PlanError, Solution, solve
from crossmix.creators.walked import walked

START_SECONDS = 120.0
"""Until the process has to be ready: it imports, and gets the catalogue."""
LOOK_SECONDS = 0.2
"""How often whoever waits for that looks whether it is closed."""
ENDED = "the planning process was ended, as another plans now; ask again"


class Planner:
    """Catalogue and predictor, ready to plan.

    Args:
        catalogue: who can be bought.
        predictor: fitted on a catalogue with the same channels and content types.
        actor: ONNX of the walk's actor (`walked`), which then plans in place of the solver.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        predictor: Predictor,
        effects: Effects | None = None,
        solver: Solver | None = None,
        actor: bytes | None = None,
    ) -> None:
        self.catalogue, self.predictor, self.actor = catalogue, predictor, actor
        self.effects, self.solver = effects or Effects(), solver or Solver()
        self.posterior: Posterior = predictor.posterior(catalogue)
        self.mean_N = self.posterior.mean_N

    def plan(self, brief: Brief, before: Before | None = None) -> Plan:
        """The plan of a brief.

        Raises:
            BriefError: brief and catalogue do not fit together, or no plan can meet the brief.
            PlanError: none was found in time.
        """
        problem = pose(self.catalogue, self.mean_N, brief, self.effects, before)
        return named(
            self.catalogue,
            problem,
            self.solution(problem),
            self.posterior,
            draws=self.effects.draws,
            assumed=not self.predictor.results,
        )

    def solution(self, problem: Problem) -> Solution:
        """The plan of a problem of this catalogue, in numbers; raises as `plan`."""
        if self.actor is None:
            return solve(problem, self.solver)
        return walked(self.catalogue, problem, self.actor, self.solver)


class Worker:
    """A `Planner` in a process of its own; calls of several threads take turns.

    Raises:
        PlanError: of `plan`, where the process did not answer in time or ended.
    """

    def __init__(self, planner: Planner) -> None:
        self._planner = planner
        self._turn = threading.Lock()
        self._process: Any = None
        self._pipe: Connection | None = None
        self._closed = False

    def plan(self, brief: Brief, before: Before | None = None) -> Plan:
        """The plan of a brief; raises what `Planner.plan` raises."""
        with self._turn:
            pipe = self._running()
            limit = self._planner.solver.seconds + self._planner.solver.grace
            try:
                pipe.send((brief, before))
                answer = pipe.recv() if pipe.poll(limit) else None
            except (EOFError, BrokenPipeError, ConnectionResetError):
                self._end()
                raise PlanError("the planning process ended before it answered; ask again") from None
            if answer is None:
                self._end()
                raise PlanError(f"no plan within {limit:g} s; raise the solver's seconds or grace")
        if isinstance(answer, Exception):
            raise answer
        assert isinstance(answer, Plan)
        return answer

    def start(self) -> None:
        """Start the process, if there is none."""
        with self._turn:
            self._running()

    def close(self) -> None:
        """End the process, for good: who still asks is told so."""
        self._closed = True
        with self._turn:
            self._end()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """Of the process; `None` while there is none."""
        return None if self._process is None else int(self._process.pid)

    def _running(self) -> Connection:
        if self._closed:
            raise PlanError(ENDED)
        if self._process is not None and not self._process.is_alive():
            self._end()
        if self._pipe is None:
            # spawn: a fork would copy a server's threads and locks as they are
            context = multiprocessing.get_context("spawn")
            here, there = context.Pipe()
            process = context.Process(target=_serve, args=(there, self._planner), daemon=True)
            try:
                process.start()
            except OSError as error:  # no room for another process, or none for what it is told
                here.close()
                raise PlanError(f"the planning process did not start ({error}); ask again") from None
            finally:
                there.close()
            self._process, self._pipe = process, here
            if not self._answers(here):
                self._end()
                if self._closed:
                    raise PlanError(ENDED)
                raise PlanError(f"the planning process did not start, or not within {START_SECONDS:g} s; ask again")
        return self._pipe

    def _answers(self, here: Connection) -> bool:
        """Whether the process says that it is ready, waited for until it is closed or out of time."""
        until = time.monotonic() + START_SECONDS
        try:
            while not (there := here.poll(LOOK_SECONDS)) and not self._closed and time.monotonic() < until:
                pass
            return there and not self._closed and bool(here.recv() == "ready")
        except (EOFError, ConnectionResetError):
            return False

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
        if self._pipe is not None:
            self._pipe.close()
        self._process = self._pipe = None


def _serve(pipe: Connection, planner: Planner) -> None:
    """Answer briefs until nobody is left to ask."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the asker, whose end is this process's
    pipe.send("ready")
    while True:
        try:
            brief, before = pipe.recv()
        except EOFError:
            return
        try:
            answer: object = planner.plan(brief, before)
        except Exception as error:  # of any kind: the asker's process raises it
            error.add_note(f"in the planning process:\n{traceback.format_exc()}")
            answer = error
        pipe.send(answer)
