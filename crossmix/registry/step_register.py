"""The register step: the judged bundle and its figures go to the registry, and its answer into the step's folder.

What training and what a re-adaptation judged come the same way: evaluation.json or judged.json tells which it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from crossmix.artifacts import (
    Alignment,
    Curve,
    Evaluation,
    GateTable,
    Interval,
    MetaTraining,
    Readaptation,
    ReadaptationJudged,
    Registration,
)
from crossmix.config import Config
from crossmix.evaluate.gates import refitted
from crossmix.ledger.where import database_of
from crossmix.registry.downloads import FEATURES_FOLDER
from crossmix.registry.shared import shared
from crossmix.registry.store import Registry
from crossmix.registry.trained import MARKET_FILES, MARKET_FOLDER, POLICY_FOLDER, START_FOLDER, UNTIL, keep_market
from crossmix.registry.version import CHAMPION_DIGEST, CHAMPION_RATIO, Version
from crossmix.report.page import judged_figures
from crossmix.training.policy_file import POLICY_FILES, START_FILES


def register(
    config: Config, evaluation: Path, policy: Path, meta: Path, market: Path, home: Path, out: Path
) -> Version:
    """Register `evaluation`/bundle and write `registration.json` (`Registration`) into `out`.

    Args:
        evaluation: what the gate step wrote: evaluation.json or judged.json, gates.json, bundle/, features/; where what
            is served was fitted on all periods, market/ and policy/ too.
        policy: the policy that was judged, as the align, readapt or finetune step wrote it.
        meta: where re-adaptation starts: what the meta step wrote, or the champion step, which may have none.
        market: as fitted; where `policy` has a market of its own that its plan is of, that one is kept.
        home: the run's folder, where a registry without an address of its own lives; it keeps the market, for monitors.

    Raises:
        BundleError: the bundle does not verify.
        ArtifactError: an input cannot be read.
    """
    gates, plan = GateTable.load(evaluation), plan_market(policy, market)
    weights = policy
    if (evaluation / refitted.MARKET).is_dir():
        plan, weights = evaluation / refitted.MARKET, evaluation / refitted.POLICY
    begins = meta / START_FOLDER if (meta / START_FOLDER).is_dir() else meta
    artifacts = {
        GateTable.FILE: evaluation / GateTable.FILE,
        **{f"{POLICY_FOLDER}/{name}": weights / name for name in POLICY_FILES},
        **{f"{MARKET_FOLDER}/{name}": plan / name for name in MARKET_FILES},
        **{
            f"{START_FOLDER}/{name}": begins / name
            for name in (*START_FILES, MetaTraining.FILE)
            if (begins / name).exists()
        },
    }
    judged, direct = ReadaptationJudged.found(evaluation), config.readapt.promote == "directly"
    artifacts |= {
        file.relative_to(evaluation).as_posix(): file
        for file in sorted((evaluation / FEATURES_FOLDER).rglob("*"))
        if file.is_file()
    }
    told = _trained(evaluation, policy) if judged is None else _readapted(judged, policy, direct)
    told["metrics"] |= {f"gate.{gate.name}": gate.value for gate in gates.gates if gate.value is not None}
    files = artifacts | told.pop("artifacts")
    registry = shared(Registry.of(config, home), database_of(config.serving))
    version = registry.register(evaluation / "bundle", artifacts=files, **told)
    keep_market(plan, version.digest, home)
    Registration.of(version.as_dict()).save(out)
    return version


def plan_market(policy: Path, market: Path) -> Path:
    """The folder of the market that the policy's plan came from: its own where it was kept, else the fitted one."""
    alignment = Alignment.found(policy)
    kept = alignment is None or alignment.kept == "aligned"
    return policy / "market" if kept and (policy / "market").is_dir() else market


def _trained(evaluation: Path, policy: Path) -> dict[str, Any]:
    """What training tells the registry."""
    judged = Evaluation.load(evaluation)
    ratio = judged.policies["policy"].oracle_ratio.mean
    return {
        "metrics": dict(_means(judged)),
        "artifacts": {Evaluation.FILE: evaluation / Evaluation.FILE},
        "figures": judged_figures(judged),
        "tags": {"oracle_ratio": str(ratio), "generated": str(judged.generated).lower()},
        "curve": Curve.load(policy).plain(),
    }


def _readapted(judged: ReadaptationJudged, policy: Path, direct: bool) -> dict[str, Any]:
    """What a re-adaptation tells it: figures of both in the refitted market, and what that has taken in."""
    report = Readaptation.load(policy)
    tags = {
        "oracle_ratio": str(judged.oracle_ratio),
        "generated": str(judged.generated).lower(),
        "readapted_from": str(judged.version),
        CHAMPION_DIGEST: judged.bundle_digest,
        CHAMPION_RATIO: str(judged.champion_ratio),
    }
    return {
        "metrics": {
            "policy.oracle_ratio": judged.oracle_ratio,
            "champion.oracle_ratio": judged.champion_ratio,
            "policy.lead": judged.lead.mean,
        },
        "artifacts": {Readaptation.FILE: policy / Readaptation.FILE},
        "tags": tags | ({} if report.until is None else {UNTIL: report.until}),
        "waits": "" if direct else "it waits for its canary",
        "actor": "readapt",
    }


def _means(judged: Evaluation) -> Iterator[tuple[str, float]]:
    """Every mean of every policy, where defined."""
    for name, result in judged.policies.items():
        for key in result.__dataclass_fields__:
            figure = getattr(result, key)
            if isinstance(figure, Interval):
                yield f"{name}.{key}", figure.mean
