"""The train step of task `creators`: the predictor of effects, and DDPG on the walk where `creators.agent` names it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from crossmix.artifacts.creators import CreatorsTrained, WalkTraining
from crossmix.config import Config
from crossmix.creators.bundled import ACTOR
from crossmix.creators.catalogue import Catalogue, Floats
from crossmix.creators.effect import Predictor, fit
from crossmix.creators.problem import Problem
from crossmix.creators.sampled import draw
from crossmix.creators.stored import load_catalogue, save_predictor
from crossmix.schema import DataError

PARTS = 20
"""Of a training, whose mean returns are kept."""


def train(config: Config, dataset: Path, out: Path, work: Path) -> CreatorsTrained:
    """Write predictor.npz, trained.json and, of agent `ddpg`, actor.onnx into `out` (exists, empty).

    Args:
        dataset: what the ingest step wrote.
        work: folder of checkpoints; a training of the walk that was killed goes on from there.

    Raises:
        DataError: too few past results, or hardly a brief that the catalogue can meet.
    """
    catalogue = load_catalogue(dataset)
    try:
        predictor = fit(catalogue, config.creators.effects)
    except DataError as error:
        raise DataError(f"{error}; nothing could be judged. Plan without a run: crossmix plan --catalogue") from None
    save_predictor(predictor, out)
    walk = _walked(config, catalogue, predictor, out, work) if config.creators.agent == "ddpg" else None
    told = CreatorsTrained(
        agent=config.creators.agent,
        results=predictor.results,
        tau=predictor.tau,
        sigma=predictor.sigma,
        walk=walk,
    )
    told.save(out)
    return told


def _walked(config: Config, catalogue: Catalogue, predictor: Predictor, out: Path, work: Path) -> WalkTraining:
    """Train the actor on briefs that nobody is judged on, and export it."""
    from crossmix.creators import ddpg
    from crossmix.creators.walk import Walk, traits

    settings = config.creators
    mean_N = predictor.posterior(catalogue).mean_N
    drawn, _ = draw(catalogue, mean_N, settings, training=True)
    known = [(one.problem, traits(catalogue, one.problem)) for one in drawn]
    trained = ddpg.train(
        lambda episode: Walk(*known[episode % len(known)], settings.walk.reward),
        settings.walk,
        episodes=settings.walk.episodes,
        work=work,
        key=_key(known),
    )
    (out / ACTOR).write_bytes(ddpg.exported(trained.actor))
    parts = [part for part in np.array_split(np.asarray(trained.returns), PARTS) if len(part)]
    return WalkTraining(
        episodes=trained.episodes,
        updates=trained.updates,
        briefs=len(known),
        returns=tuple(float(part.mean()) for part in parts),
    )


def _key(known: list[tuple[Problem, Floats]]) -> str:
    """SHA-256 of the problems that the walks are of, with their traits."""
    made = hashlib.sha256()
    for problem, traits_N4 in known:
        rows = problem.rows
        made.update(repr((problem.budget, problem.matrix)).encode())
        for array in (problem.class_N, problem.price_N, problem.effect_N, problem.audience_C, traits_N4):
            made.update(array.tobytes())
        made.update(rows.coefficient_RC.tobytes() + rows.low_R.tobytes())
    return made.hexdigest()
