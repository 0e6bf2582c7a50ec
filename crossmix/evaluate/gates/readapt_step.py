"""The gate step of re-adaptation: challenger and champion in the refitted market, and the challenger's bundle."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Literal

from crossmix import bundle as bundles
from crossmix.artifacts import FeedbackReport, GateTable, Lead, ReadaptationJudged, ServingVersion
from crossmix.bundle import manifest as manifests
from crossmix.config import Config, digest
from crossmix.evaluate.gates.flights import Flights, fly
from crossmix.evaluate.gates.publish import publish_bundle
from crossmix.evaluate.gates.readapt import CHALLENGER, CHAMPION, DISAGREE, GAIN, ReadaptCase, gained, judged
from crossmix.evaluate.judge import from_state
from crossmix.market.model import load
from crossmix.training.feedback_file import load_feedback, load_served
from crossmix.training.policy_file import load_policy
from crossmix.verdicts import NOT_APPLICABLE, PASS, Gate

Outcome = Literal["adapted", "nothing to gain", "stopped"]


def judge(config: Config, champion: Path, feedback: Path, policy: Path, out: Path) -> ReadaptationJudged:
    """Judge a challenger; write judged.json, gates.json, bundle/ and, of a champion that has them, features/.

    Args:
        champion, feedback: what their steps wrote.
        policy: what the readapt or finetune step wrote.
    """
    version, refitted = ServingVersion.load(champion), load(policy / "market")
    challenger = load_policy(policy)
    told = FeedbackReport.load(feedback)
    flights = fly(config, refitted, {CHAMPION: load_policy(champion / "trained"), CHALLENGER: challenger})
    mean, low, high = flights.lead(CHALLENGER, CHAMPION)
    # A bundle that will not be registered needs no thresholds, which take seconds to find.
    serves = worth(config, flights, told)
    act = from_state(lambda state, least, most, _: challenger(state, least, most)) if serves else None
    case = ReadaptCase(
        config=config,
        market=load(champion / "market"),
        refitted=refitted,
        feedback=load_feedback(feedback),
        told=told,
        flights=flights,
        challenger=challenger,
        bundle=publish_bundle(config, refitted, challenger, out / "bundle", act=act),
        served=load_served(feedback),
    )
    gates = list(judged(case))
    failed = [gate for gate in gates if gate.required and gate.verdict not in (PASS, NOT_APPLICABLE)]
    outcome, reason = verdict(failed)
    rows = [asdict(gate) for gate in gates]
    lineage = {"market_digest": refitted.digest, "parent": version.bundle_digest, "evaluate": digest(config.evaluate)}
    # What no split moves, and where nothing was spent, is of the history that the champion was fitted on.
    known = manifests.read_manifest(champion / "bundle")
    of_history = (known.get(name) for name in ("untried", "ever", "ended", "narrowed"))
    bundles.annotate(out / "bundle", rows, lineage, known.get("held", ()), *of_history)
    GateTable.of({"gates": rows, "passed": not failed}).save(out)
    if (champion / "features").is_dir():
        shutil.copytree(champion / "features", out / "features")
    report = ReadaptationJudged(
        version=version.version,
        bundle_digest=version.bundle_digest,
        oracle_ratio=float(flights.ratio_N[CHALLENGER].mean()),
        champion_ratio=float(flights.ratio_N[CHAMPION].mean()),
        lead=Lead(mean=mean, ci95=(low, high)),
        market_seeds=config.evaluate.market_seeds,
        cycles=config.evaluate.cycles,
        outcome=outcome,
        reason=reason,
        generated=refitted.generated,
    )
    report.save(out)
    return report


def worth(config: Config, flights: Flights, told: FeedbackReport) -> bool:
    """Whether a challenger may be registered, as far as gain and held reports tell: gates that pass, or need not."""
    required = config.readapt.required
    if any(("arms" if one.cause == DISAGREE else "plausible") in required for one in told.suspects):
        return False
    return "gain" not in required or gained(flights, config.readapt.gain)


def verdict(failed: list[Gate]) -> tuple[Outcome, str]:
    """What the gates that did not pass come to: a challenger that is not worth a change is no alarm."""
    if not failed:
        return "adapted", "every required gate passed"
    stopping = [gate for gate in failed if gate.name != GAIN]
    if not stopping:
        return "nothing to gain", failed[0].detail
    return "stopped", "; ".join(f"{gate.name} ({gate.verdict}): {gate.detail}" for gate in stopping)
