"""The bundle of kind `creators`: all that answering a brief needs.

    config.json         the config behind it (`config.carried`): effects, the solver's limits, which agent plans
    catalogue.npz       who can be bought, with past results (`stored.py`)
    predictor.npz       the fitted predictor: coefficients, their covariance, the residual law
    actor.onnx          the walk's actor, where `creators.agent` is `ddpg`
    probe.npz           creators whose expected log effect the manifest knows and, beside an actor, states whose share
                        it knows
    manifest.json       as of every kind (`crossmix.bundle`)

Saving and loading need no torch; an actor comes as ONNX.

Shapes: N creators, Q probed ones, B probed states, S of a state.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossmix import bundle as bundles
from crossmix.bundle import BundleError
from crossmix.config import Config, ConfigError, from_carried
from crossmix.creators.catalogue import Catalogue, Floats, Ints
from crossmix.creators.effect import Posterior, Predictor
from crossmix.creators.stored import digest, load_catalogue, load_predictor, save_catalogue, save_predictor
from crossmix.creators.walk import STATE
from crossmix.creators.walked import INPUT, OUTPUT, session_of
from crossmix.creators.worker import Planner
from crossmix.schema import DataError

Singles = NDArray[np.float32]
ACTOR, PROBE = "actor.onnx", "probe.npz"
PROBED = 8
TOLERANCE = 1e-6
"""Of a log effect; processors order their sums differently."""
SHARE_TOLERANCE = 1e-4
"""Of an actor's share."""


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
        BundleError: the folder holds other files, the agent of the config is not what is given, or the actor is none.
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
    probe: dict[str, Any] = {"log_effect": _probed(predictor.posterior(catalogue), row_Q).tolist()}
    states: dict[str, Any] = {} if actor is None else {"state": _states()}
    if actor is not None:
        share_B = _shares(folder / ACTOR, actor, states["state"])
        probe |= {"share": share_B.tolist(), "share_tolerance": SHARE_TOLERANCE}
    with (folder / PROBE).open("wb") as file:
        np.savez(file, row=row_Q, **states)
    bundles.close(
        folder,
        bundles.CREATORS,
        config=config,
        data_digest=digest(catalogue),
        probe=probe | {"tolerance": TOLERANCE},
        extras=() if actor is None else (ACTOR,),
        gates=gates,
        lineage=lineage,
    )
    return load(folder)


def load(folder: Path) -> BundledPlanner:
    """Read and verify: seal, format, kind, every file's digest, the expected effects of the probed creators, and what
    the actor says of the probed states, where there is one.

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
        state_BS = probe["state"] if "state" in probe.files else None
    remedy = "this numpy does not compute as the one that saved it: install the version in constraints.txt"
    bundles.check_answer(folder / "predictor.npz", {"log_effect": got_Q}, manifest["probe"], remedy)
    if (config.creators.agent == "ddpg") != (planner.actor is not None):
        there = "is missing" if planner.actor is None else "is there"
        raise BundleError(f"{folder / ACTOR}: {there}, and creators.agent is {config.creators.agent!r}; save it again")
    if planner.actor is not None:
        _check_actor(folder / ACTOR, planner.actor, state_BS, manifest["probe"])
    return planner


def _check_actor(file: Path, actor: bytes, state_BS: Singles | None, expected: Mapping[str, Any]) -> None:
    """Raise `BundleError` unless the actor says of the probe's states what it said when it was saved.

    Args:
        state_BS: of the probe; `None`: of a bundle of before, whose actor has only to answer.
    """
    share_B = _shares(file, actor, _states() if state_BS is None else state_BS)
    if state_BS is None:
        return
    remedy = "this onnxruntime does not run the actor as it was saved: install the version in constraints.txt"
    known = {"share": expected.get("share", ()), "tolerance": expected.get("share_tolerance", SHARE_TOLERANCE)}
    bundles.check_answer(file, {"share": share_B}, known, remedy)


def _shares(file: Path, actor: bytes, state_BS: Singles) -> Floats:
    """What an actor says of states, (B,); raises `BundleError` naming its file."""
    try:
        (share_B,) = session_of(actor).run([OUTPUT], {INPUT: state_BS})
    except Exception as error:  # onnxruntime's errors share no base class
        why = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        raise BundleError(f"{file}: is no actor that onnxruntime can run ({why}); fetch the bundle again") from None
    share_B = np.asarray(share_B, np.float64)
    if share_B.shape != (len(state_BS),) or not ((share_B >= 0) & (share_B <= 1)).all():
        raise BundleError(f"{file}: is no actor: of {len(state_BS)} states it says {share_B.shape}, not a share each")
    return share_B


def _states() -> Singles:
    """Fixed states, (B, S): waves within what a state's entries are."""
    return np.asarray(0.5 + 0.5 * np.sin(0.1 + 0.37 * np.arange(PROBED * STATE)).reshape(PROBED, STATE), np.float32)


def _probed(posterior: Posterior, row_Q: Ints) -> Floats:
    return np.asarray(np.log(posterior.mean_N[row_Q]))
