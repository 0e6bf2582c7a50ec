"""The gates of the policy: competitors beaten, limits, utilisation, the worst platform, latency (paper 2.2)."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np

from crossmix.bundle import Bundle
from crossmix.evaluate.gates.case import CRITERIA, Case
from crossmix.evaluate.judge import Record
from crossmix.evaluate.stats.off_policy import ENOUGH
from crossmix.verdicts import FAIL, INSUFFICIENT, NOT_APPLICABLE, PASS, Criterion, Gate

NOTHING = 1e-3
"""Part of the oracle's revenue below which even its own lead over a competitor is nothing to win."""


def beats_competitors(case: Case) -> Iterator[Gate]:
    """A gate per competitor that is not clairvoyant: the policy earns more, surely. Where limits leave next to nothing
    to win, to the oracle neither, a tie is no failure: there it is not known whether the policy would."""
    ahead = -case.policies["oracle"]["difference"]["mean"]
    for name, row in case.policies.items():
        if name == "policy" or row["clairvoyant"]:
            continue
        mean, (low, high) = row["difference"]["mean"], row["difference"]["ci95"]
        tie = low <= 0 and abs(mean) < NOTHING and ahead + mean < NOTHING
        nothing = (
            f"; even the oracle earns {ahead + mean:+.4f} more than it: limits leave nothing to win" if tie else ""
        )
        yield case.gate(
            f"policy.beats.{name}",
            mean,
            "95 % interval of the difference above 0",
            PASS if low > 0 else INSUFFICIENT if tie else FAIL,
            f"{mean:+.4f} [{low:+.4f}, {high:+.4f}] of the oracle's revenue, "
            f"{len(case.records[name].total_NPQ)} market seeds{nothing}",
        )


def limits(case: Case) -> Iterator[Gate]:
    """No limit is ever broken."""
    breaks = case.records["policy"].breaks
    verdict = PASS if breaks == 0 else FAIL
    yield case.gate("policy.limits", breaks, "0 cycles", verdict, "cycles that broke a limit")


def utilisation(case: Case) -> Iterator[Gate]:
    """The policy spends what it plans, as far as the oracle can."""
    least = case.config.gates.utilisation
    policy, oracle = (case.policies[name]["utilisation"]["mean"] for name in ("policy", "oracle"))
    yield case.gate(
        "policy.utilisation",
        policy / oracle,
        f">= {least:g} of the oracle's",
        PASS if policy / oracle >= least else FAIL,
        f"policy {policy:.3f}, oracle {oracle:.3f}",
    )


def worst_platform(case: Case) -> Iterator[Gate]:
    """No platform is fed at a return far below the control's worst."""
    least = case.config.gates.worst_platform
    worst, reference = (_worst_roas(case.records[name]) for name in ("policy", "control"))
    ratio = worst / reference if reference > 0 else None
    yield case.gate(
        "policy.worst_platform",
        ratio,
        f">= {least:g} of the control's",
        NOT_APPLICABLE if ratio is None else PASS if ratio >= least else FAIL,
        f"lowest ROAS of a platform with at least 1 % of spend: policy {worst:.3f}, control {reference:.3f}",
    )


def off_policy(case: Case) -> Iterator[Gate]:
    """What served splits say of the policy: not applicable until a run reads their propensities."""
    why = (
        "the log holds no propensities of its splits. It waits for those that a server's policy arm writes down while "
        f"it explores (`crossmix serve`, serving.explore): {ENOUGH:g} campaign cycles with feedback or more, the more "
        "the less the two policies agree. No step reads them yet; `crossmix.ledger.served.read` gives them and "
        "`crossmix.evaluate.stats.off_policy.estimate` judges by them"
    )
    yield case.gate("policy.off_policy", None, ">= the champion's", NOT_APPLICABLE, why)


def latency(case: Case) -> Iterator[Gate]:
    """One answer takes no more processor time than allowed."""
    largest, taken = case.config.gates.latency_ms, measure_latency_ms(case.bundle)
    yield case.gate(
        "policy.latency",
        taken,
        f"<= {largest:g} ms at the 99th percentile",
        PASS if taken <= largest else FAIL,
        "one state through the exported policy, milliseconds of processor time, rounded up",
    )


def _worst_roas(record: Record) -> float:
    spend, revenue = record.column("spend").sum(0), record.column("revenue").sum(0)
    carried = spend >= 0.01 * spend.sum()
    return float((revenue[carried] / spend[carried]).min())


def measure_latency_ms(bundle: Bundle, calls: int = 300) -> float:
    """99th percentile of one policy call in processor time, rounded up to whole milliseconds so that it repeats.

    Processor time, of the fastest of three rounds: what else a shared machine does must not refuse a policy.
    """
    example = bundle.example()
    rounds = []
    for _ in range(3):
        taken = []
        for _ in range(calls):
            started = time.thread_time()
            bundle.allocate(example["state"], example["low"], example["high"])
            taken.append(time.thread_time() - started)
        rounds.append(float(np.percentile(taken, 99)) * 1e3)
    return float(np.ceil(min(rounds)))


CRITERIA.register(Criterion(name="policy.beats", judge=beats_competitors))
CRITERIA.register(Criterion(name="policy.limits", judge=limits))
CRITERIA.register(Criterion(name="policy.utilisation", judge=utilisation))
CRITERIA.register(Criterion(name="policy.worst_platform", judge=worst_platform))
CRITERIA.register(Criterion(name="policy.off_policy", judge=off_policy))
CRITERIA.register(Criterion(name="policy.latency", judge=latency))
