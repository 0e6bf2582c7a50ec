"""The gates of the policy: competitors beaten, limits, utilisation, the worst platform, latency (paper 2.2)."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from crossmix import bundle as bundles
from crossmix.config import Config
from crossmix.evaluate.gates.verdicts import FAIL, NOT_APPLICABLE, PASS, Gate, is_required
from crossmix.evaluate.judge import Record


def policy_gates(config: Config, table: dict[str, Any], records: dict[str, Record], latency_ms: float) -> list[Gate]:
    settings = config.gates

    def gate(name: str, value: float | None, threshold: str, verdict: str, detail: str) -> Gate:
        return Gate(
            f"policy.{name}", value, threshold, verdict, is_required(f"policy.{name}", settings.required), detail
        )

    gates = []
    for name, row in table.items():
        if name == "policy" or row["clairvoyant"]:
            continue
        mean, (low, high) = row["difference"]["mean"], row["difference"]["ci95"]
        gates.append(
            gate(
                f"beats.{name}",
                mean,
                "95 % interval of the difference above 0",
                PASS if low > 0 else FAIL,
                f"{mean:+.4f} [{low:+.4f}, {high:+.4f}] of the oracle's revenue, "
                f"{len(records[name].total_NPQ)} market seeds",
            )
        )
    breaks = records["policy"].breaks
    gates.append(gate("limits", breaks, "0 cycles", PASS if breaks == 0 else FAIL, "cycles that broke a limit"))
    used = table["policy"]["utilisation"]["mean"] / table["oracle"]["utilisation"]["mean"]
    gates.append(
        gate(
            "utilisation",
            used,
            f">= {settings.utilisation:g} of the oracle's",
            PASS if used >= settings.utilisation else FAIL,
            f"policy {table['policy']['utilisation']['mean']:.3f}, oracle {table['oracle']['utilisation']['mean']:.3f}",
        )
    )
    worst, reference = _worst_roas(records["policy"]), _worst_roas(records["control"])
    ratio = worst / reference if reference > 0 else None
    gates.append(
        gate(
            "worst_platform",
            ratio,
            f">= {settings.worst_platform:g} of the control's",
            NOT_APPLICABLE if ratio is None else PASS if ratio >= settings.worst_platform else FAIL,
            f"lowest ROAS of a platform with at least 1 % of spend: policy {worst:.3f}, control {reference:.3f}",
        )
    )
    gates.append(
        gate("off_policy", None, ">= the champion's", NOT_APPLICABLE, "the log holds no propensities of its splits")
    )
    gates.append(
        gate(
            "latency",
            latency_ms,
            f"<= {settings.latency_ms:g} ms at the 99th percentile",
            PASS if latency_ms <= settings.latency_ms else FAIL,
            "one state through the exported policy, milliseconds of processor time, rounded up",
        )
    )
    return gates


def _worst_roas(record: Record) -> float:
    spend, revenue = record.column("spend").sum(0), record.column("revenue").sum(0)
    carried = spend >= 0.01 * spend.sum()
    return float((revenue[carried] / spend[carried]).min())


def measure_latency_ms(bundle: bundles.Bundle, calls: int = 300) -> float:
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
