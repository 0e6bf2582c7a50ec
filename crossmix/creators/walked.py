"""The seed's way to a plan: a trained actor walks the cells, its matrix is projected onto the rules, creators picked.

The actor is an ONNX graph, state (B, S) float32 -> share (B,): whoever plans needs no torch. What the solver tells of
all plans, this tells too: the bound, shadow prices, who is next.

Shapes: B batch, S state, N candidates.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from crossmix.creators.catalogue import Catalogue
from crossmix.creators.feasible import refuse
from crossmix.creators.problem import Problem
from crossmix.creators.relax import RelaxationError, relax
from crossmix.creators.settings import Solver
from crossmix.creators.solve import NoPlanError, Solution, solution_of
from crossmix.creators.walk import Walk, projected, traits

INPUT, OUTPUT = "state", "share"


def session_of(actor: bytes) -> Any:
    """The `onnxruntime.InferenceSession` of an actor."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(actor, options, providers=["CPUExecutionProvider"])


def walked(catalogue: Catalogue, problem: Problem, actor: bytes, settings: Solver | None = None) -> Solution:
    """The plan of the actor's walk.

    Raises:
        BriefError: nobody can be bought, or a class cannot meet a rule.
        PlanError: the walk's plan breaks a rule or lacks a must-have creator even after it was projected and mended.
    """
    start = time.perf_counter()
    settings = settings or Solver()
    refuse(problem)
    session = session_of(actor)
    walk = Walk(problem, traits(catalogue, problem))
    state_S, last = walk.reset(), False
    while not last:
        (share_B,) = session.run([OUTPUT], {INPUT: state_S.astype(np.float32)[None]})
        step = walk.step(float(share_B[0]))
        state_S, last = step.state_S, step.last
    cell_N = projected(problem, walk.money_C)
    spend_C = problem.spend_C(cell_N)
    if not (cell_N >= 0).any() or problem.shortfall(spend_C) > 1e-6 * problem.brief.budget:
        raise NoPlanError("the walk found no plan that keeps the rules; plan with creators.agent=solver")
    if (cell_N[problem.must_N] < 0).any():
        raise NoPlanError("the walk left out a must-have creator; plan with creators.agent=solver")
    try:
        relaxed = relax(problem, settings.rounds)
    except RelaxationError:
        raise NoPlanError("the walk's plan has no bound to be held against; plan with creators.agent=solver") from None
    return solution_of(problem, relaxed, cell_N, problem.value(cell_N), start)
