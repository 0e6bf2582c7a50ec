"""What daily totals are enough for: `python -m benchmarks.totals [--json] [--run OUT]`.

A run's impression log is summed to what an advertiser without one has: spend, impressions, clicks, conversions and
revenue by day, platform and campaign, with the planned budgets and without. Of each history `crossmix run` makes a
policy, which then plays the market that was fitted from the whole log, auction by auction (`exact`), beside the
policy of that log, the uniform split and the oracle, on market seeds that no training used.

Told is how much of the gap from the uniform split to the oracle is closed, with its 95 % interval over flights, and
what the run took from file to answer: seconds, and processor seconds of it and the steps that it starts.
`--resume FILE` keeps every finished history.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks._intervals import with_interval
from benchmarks._machine import machine
from benchmarks._resumed import Resumed, add_resume, of_run
from benchmarks.allocation import finished
from crossmix.artifacts import RunRecord
from crossmix.baselines.registry import BASELINES
from crossmix.config import Config
from crossmix.evaluate.judge import act_of, from_state, judge_act, oracle, summarise
from crossmix.market.model import Market, load
from crossmix.schema import Dataset
from crossmix.training.policy_file import load_policy

KEY = ["date", "platform", "campaign_id"]
HISTORIES = {"with plans": True, "without plans": False}
JUDGED = (0, 3)
"""Exit statuses of a run that came to its end: registered, or a gate found too little data."""


def daily_totals(dataset: Dataset, *, planned: bool) -> pd.DataFrame:
    """The log as a spend history: date, platform, campaign and five figures, with the planned budget where asked."""
    columns = ["timestamp", "campaign_id", "platform", "price_paid", "clicked", "converted", "revenue"]
    frame = dataset.frame("impressions", columns)
    frame["date"] = pd.to_datetime(frame["timestamp"]).dt.strftime("%Y-%m-%d")
    totals = frame.groupby(KEY).agg(
        spend=("price_paid", "sum"),
        impressions=("clicked", "size"),
        clicks=("clicked", "sum"),
        conversions=("converted", "sum"),
        revenue=("revenue", "sum"),
    )
    if planned:
        plans = dataset.frame("plans")
        plans["date"] = pd.to_datetime(plans["date"]).dt.strftime("%Y-%m-%d")
        totals = totals.join(plans.groupby(KEY)["planned_budget"].sum().rename("planned"), how="left")
        totals["planned"] = totals["planned"].fillna(0.0)
    table = totals.reset_index().rename(columns={"campaign_id": "campaign"})
    return table.round({"spend": 2, "revenue": 2, "planned": 2})


def trained(history: pd.DataFrame, folder: Path) -> tuple[Path, Path, dict[str, float]]:
    """The policy that `crossmix run` makes of a history, its market, and the seconds that it takes.

    Raises:
        RuntimeError: the run came to no end; its message is the run's.
    """
    history.to_csv(folder / "history.csv", index=False)
    out = folder / "out"
    command = [sys.executable, "-m", "pipelines.cli.main", "run", "--source", "spend"]
    command += ["--data", str(folder / "history.csv"), "--out", str(out)]
    before, began = _children(), time.monotonic()
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode not in JUDGED:
        raise RuntimeError(done.stdout[-2000:])
    took = {"seconds": time.monotonic() - began, "cpu seconds": _children() - before}
    steps = RunRecord.load(out).steps
    return out / steps["train"], out / steps["market"], took


def in_context_of(own: Market, market: Market) -> Market:
    """A market that shows a policy, whatever happens in it, the contexts of the market that it was made in.

    Raises:
        ValueError: they are of other campaigns.
    """
    if own.campaigns != market.campaigns:
        raise ValueError(f"campaigns of the history: {own.campaigns}; of the log: {market.campaigns}")
    shown = own.context[:, :1].expand_as(market.context)
    return replace(market, context=shown, cold_context=own.cold_context, present_context=own.present_context)


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measure(config: Config, market_folder: Path, policy_folder: Path, kept: Resumed) -> dict[str, Any]:
    """Play every policy in the market of the whole log."""
    load_before, log_market = os.getloadavg(), load(market_folder)
    dataset = Dataset(policy_folder.parents[2] / RunRecord.load(policy_folder.parents[2]).steps["ingest"])

    def judged(policy: Path, own: Market | None = None) -> dict[str, Any]:
        # A policy is served with the contexts of its own market: of totals, marks of the campaigns.
        market = log_market if own is None else in_context_of(own, log_market)
        actor = load_policy(policy)
        acts = {
            "policy": from_state(lambda state, low, high, _: actor(state, low, high)),
            "oracle": oracle,
            "uniform": act_of(BASELINES.get("uniform"), market),
        }
        records = {name: judge_act(market, config, act, name) for name, act in acts.items()}
        told = summarise(records, {}, config, market.platforms)["policy"]
        return {"gap_closed": told["gap_closed"], "limits broken": records["policy"].breaks}

    def of_history(planned: bool) -> dict[str, Any]:
        with tempfile.TemporaryDirectory(prefix="crossmix-totals-") as folder:
            history = daily_totals(dataset, planned=planned)
            policy, own, took = trained(history, Path(folder))
            return {"rows": len(history), **judged(policy, load(own)), **took}

    found = {"the whole log": kept.part("the whole log", partial(judged, policy_folder))}
    found |= {name: kept.part(name, partial(of_history, planned)) for name, planned in HISTORIES.items()}
    return {"benchmark": "totals", "generated": config.data.source == "demo", **found, "machine": machine(load_before)}


def table(result: dict[str, Any]) -> str:
    """The result as text."""
    lines = [f"{'history':<16} {'gap closed':<26} seconds  CPU s"]
    for name in ("the whole log", *HISTORIES):
        one = result[name]
        took = f"{one['seconds']:7.0f} {one['cpu seconds']:6.0f}" if "seconds" in one else ""
        lines.append(f"{name:<16} {with_interval(one['gap_closed']):<26} {took}".rstrip())
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.totals", description="What daily totals are enough for."
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--run", type=Path, help="folder of a finished run; without it one is made of the demo's log")
    add_resume(parser)
    given = parser.parse_args()
    config, market, policy = finished(given.run, "demo", None)
    result = measure(config, market, policy, Resumed(given.resume, of_run(policy, benchmark="totals")))
    print(json.dumps(result, indent=1) if given.json else table(result))


if __name__ == "__main__":
    main()
