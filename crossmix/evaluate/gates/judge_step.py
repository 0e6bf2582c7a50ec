"""The gates: what the market and the policy must show before anything is registered (§2.2; docs/design.md#gates).

A verdict is pass, fail, insufficient data (with the number needed) or not applicable (with the reason). Which gates
are required is config, the same everywhere; a required gate that does not pass, for whatever reason but not
applicable, stops the registration.
"""

from __future__ import annotations

import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from crossmix import bundle as bundles
from crossmix.artifacts import Evaluation, GateTable
from crossmix.baselines.registry import state_readers
from crossmix.config import Config, digest
from crossmix.evaluate.decision.table import decided, told
from crossmix.evaluate.fidelity import spend_history as daily
from crossmix.evaluate.fidelity.impressions import fidelity
from crossmix.evaluate.fidelity.period_shift import shift
from crossmix.evaluate.gates.case import CRITERIA, Case
from crossmix.evaluate.gates.publish import publish_bundle
from crossmix.evaluate.gates.refitted import refitted, save_served
from crossmix.evaluate.gates.verdicts import bounds
from crossmix.evaluate.judge import Record, act_of, from_state, judge_act, oracle, summarise
from crossmix.evaluate.play import Act
from crossmix.market.conditions import nominal
from crossmix.market.curves import marginal
from crossmix.market.fit.log import read
from crossmix.market.model import SERVED, Market, load, load_served
from crossmix.market.reach import reaching
from crossmix.schema import Dataset
from crossmix.training.policy_file import load_policy
from crossmix.verdicts import passed


def judge(
    config: Config, dataset: Path, features: Path, fusion: Path, market: Path, policy: Path, out: Path
) -> dict[str, Any]:
    """Judge market and policy; write evaluation.json, gates.json, bundle/ and, of a spend history,
    decision.json; returns the gates.

    The bundle's plan is of the market fitted on all periods, where the market step left one (`refitted`), which then
    lies beside it, with the policy, as market/ and policy/.

    Args:
        features: what the features step wrote; what a server needs of it goes beside the bundle, as features/.
    """
    data, fitted = Dataset(dataset), load(market)
    whole = load_served(market) if (market / SERVED).is_dir() else fitted
    log = read(data)
    planned, _, _ = log.planned(data)
    actor = load_policy(policy)
    players: dict[str, Act] = {
        "policy": from_state(lambda state, low, high, _: actor(state, low, high)),
        "oracle": oracle,
        **{baseline.name: act_of(baseline, fitted) for baseline in state_readers()},
    }
    records = {name: judge_act(fitted, config, act, name) for name, act in players.items()}
    labels = {baseline.name: baseline.label for baseline in state_readers()}
    labels |= {"policy": "crossmix policy", "oracle": "oracle (clairvoyant)"}
    table = summarise(records, labels, config, fitted.platforms)
    heads = None if log.meta.aggregate else fusion
    comparison = daily.fidelity(fitted, log, planned) if heads is None else fidelity(fitted, log, planned, heads)

    served, server = refitted(config, fitted, whole, actor)
    play = players["policy"] if server is actor else from_state(lambda state, low, high, _: server(state, low, high))
    if whole is not fitted:
        save_served(served, server, policy, out)
    # What all of the history recommends, held against what its held-out weeks show of the training period's market.
    judged = decided(config, fitted, whole, log) if log.meta.aggregate else None
    within = served if judged is None else judged.within(served)
    case = Case(
        config=config,
        market=fitted,
        plan_from_spend=log.plan_from_spend,
        aggregate=log.meta.aggregate,
        fidelity=comparison,
        records=records,
        policies=table,
        bundle=publish_bundle(config, within, server, out / "bundle", act=play),
        decided=judged,
    )
    if judged is not None:
        told(config, judged).save(out)
    gates = [gate for criterion in CRITERIA.all() for gate in criterion.judge(case)]
    rows = [asdict(gate) for gate in gates]
    bundles.annotate(
        out / "bundle",
        rows,
        {"market_digest": fitted.digest, "training_seed": config.train.seed, "evaluate": digest(config.evaluate)},
        [asdict(one) for one in log.meta.held],
        _never_tried(whole),
        dict(zip(whole.campaigns, whole.most.tolist(), strict=True)) if whole.most.numel() else None,
        {name: day for name, day in zip(whole.campaigns, whole.ended, strict=False) if day is not None},
        None if judged is None else judged.narrowed(served),
    )
    evaluation = {
        "platforms": fitted.platforms,
        "campaigns": fitted.campaigns,
        "currency": fitted.currency,
        "generated": fitted.generated,
        "cycles": config.evaluate.cycles,
        "cycle_hours": fitted.cycle_hours,
        "market_seeds": config.evaluate.market_seeds,
        "policies": table,
        "trajectory": _trajectory(config, fitted, records),
        "marginal_roi": _marginal_curves(fitted, records),
        "fidelity": comparison.plain(),
        "shift": shift(log, planned, heads).plain(),
        "bounds": bounds(config),
    }
    Evaluation.of(evaluation).save(out)
    shutil.copytree(features / "served", out / "features")
    verdict = {"gates": rows, "passed": passed(gates)}
    GateTable.of(verdict).save(out)
    return verdict


def _never_tried(market: Market) -> dict[str, list[str]]:
    """Platforms where a campaign never spent, by campaign; none of one that spent everywhere."""
    found = {
        campaign: [name for name, never in zip(market.platforms, row, strict=True) if never]
        for campaign, row in zip(market.campaigns, market.untried.tolist(), strict=True)
    }
    return {campaign: names for campaign, names in found.items() if names}


def _trajectory(config: Config, market: Market, records: dict[str, Record]) -> dict[str, Any]:
    return {
        "campaign": market.campaigns[market.running[0]],
        "seed": config.evaluate.market_seed,
        "policy": records["policy"].flight_TP.tolist(),
        "oracle": records["oracle"].flight_TP.tolist(),
        "low": records["policy"].low_TP.tolist(),
        "high": records["policy"].high_TP.tolist(),
    }


def _marginal_curves(market: Market, records: dict[str, Record], points: int = 60) -> dict[str, Any]:
    """Revenue and marginal ROI of the trajectory's campaign over the share (Fig. 4), average weekday, no drift."""
    # Below about ten impressions' worth of budget the marginal is that of a lottery ticket: start above.
    share = torch.linspace(0.04, 1, points) ** 1.5
    slot, platforms = market.running[0], len(market.platforms)
    campaign = torch.full((points,), slot)
    # Of a spend history the end of a fitted curve is no wall.
    conditions = nominal(reaching(market, market.budget), campaign, torch.full((points,), 2))
    budget = market.budget[slot] * share[:, None].expand(points, platforms)
    revenue, slope = marginal(conditions, budget.contiguous())
    return {
        name: {
            "share": share.tolist(),
            "marginal": slope[:, p].tolist(),
            "revenue": revenue[:, p].tolist(),
            "at_policy": float(records["policy"].campaign_P[p]),
            "at_oracle": float(records["oracle"].campaign_P[p]),
        }
        for p, name in enumerate(market.platforms)
    }
