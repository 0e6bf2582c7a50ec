"""The bundle of kind `creators`: all that answering a brief needs.

    config.json         the config behind it (`config.carried`): effects, the solver's limits, which agent plans
    catalogue.npz       who can be bought, with past results (`stored.py`)
    predictor.npz       the fitted predictor: coefficients, their covariance, the residual law
    actor.onnx          the walk's actor, where `creators.agent` is `ddpg`
    probe.npz           creators whose expected log effect the manifest knows
    manifest.json       as of every kind (`crossmix.bundle`)

Saving and loading need no torch; an actor comes as ONNX.

Shapes: N creators, Q probed ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from crossmix import bundle as bundles
from crossmix.bundle import BundleError
from crossmix.config import Config, ConfigError, from_carried
from crossmix.creators.catalogue import Catalogue, Floats, Ints
from crossmix.creators.effect import Posterior, Predictor
from crossmix.creators.stored import digest, load_catalogue, load_predictor, save_catalogue, save_predictor
from crossmix.creators.worker import Planner
from crossmix.schema import DataError

ACTOR, PROBE = "actor.onnx", "probe.npz"
PROBED = 8
TOLERANCE = 1e-6
"""Of a log effect; processors order their sums differently."""


class BundledPlanner(Planner):
    """A planner from a verified bundle; `plan` answers a brief."""

    def __init__(self, folder: Path, manifest: Mapping[str, Any], config: Config) -> None:
        settings, actor = config.creators, folder / ACTOR
        super().__init__(
            load_catalogue(folder),
            load_predictor(folder),
            settings.effects,
            settings.solver,
            actor.read_bytes() if ACTOR in manifest["files"] else None,
        )
        self.path, self.manifest, self.config = folder, manifest, config

    @property
    def digest(self) -> str:
        """SHA-256 that names what is served."""
        return str(self.manifest["digest"])


def save(
    folder: Path,
    *,
    config: Config,
    catalogue: Catalogue,
    predictor: Predictor,
    actor: bytes | None = None,
    gates: Sequence[Mapping[str, Any]] = (),
    lineage: Mapping[str, Any] | None = None,
) -> BundledPlanner:
    """Write a bundle into `folder` (created if absent, an old bundle there replaced) and load it back.

    Args:
        actor: ONNX of the walk's actor, which then plans.
        gates: the rows of gates.json; `crossmix.bundle.manifest.annotate` may add them later.
        lineage: where it comes from; must not name this machine.

    Raises:
        BundleError: the folder holds other files, or the agent of the config is not what is given.
    """
    if (config.creators.agent == "ddpg") != (actor is not None):
        given = "no actor was" if actor is None else "an actor was"
        raise BundleError(f"creators.agent: {config.creators.agent!r}, but {given} given; train with this config")
    bundles.emptied(folder)
    save_catalogue(catalogue, folder)
    save_predictor(predictor, folder)
    if actor is not None:
        (folder / ACTOR).write_bytes(actor)
    row_Q = np.unique(np.linspace(0, len(catalogue) - 1, PROBED).astype(np.int64))
    with (folder / PROBE).open("wb") as file:
        np.savez(file, row=row_Q)
    bundles.close(
        folder,
        bundles.CREATORS,
        config=config,
        data_digest=digest(catalogue),
        probe={"log_effect": _probed(predictor.posterior(catalogue), row_Q).tolist(), "tolerance": TOLERANCE},
        extras=() if actor is None else (ACTOR,),
        gates=gates,
        lineage=lineage,
    )
    return load(folder)


def load(folder: Path) -> BundledPlanner:
    """Read and verify: seal, format, kind, every file's digest, and the expected effects of the probed creators.

    Raises:
        BundleError: something is missing, changed, of another kind or of another version.
    """
    manifest = bundles.verified(folder, bundles.CREATORS)
    try:
        config = from_carried((folder / "config.json").read_text())
        planner = BundledPlanner(folder, manifest, config)
    except (DataError, ConfigError, KeyError, TypeError) as error:
        raise BundleError(f"{folder}: {error}") from None
    with np.load(folder / PROBE, allow_pickle=False) as probe:
        got_Q = _probed(planner.posterior, probe["row"])
    remedy = "this numpy does not compute as the one that saved it: install the version in constraints.txt"
    bundles.check_answer(folder / "predictor.npz", {"log_effect": got_Q}, manifest["probe"], remedy)
    return planner


def _probed(posterior: Posterior, row_Q: Ints) -> Floats:
    return np.asarray(np.log(posterior.mean_N[row_Q]))
