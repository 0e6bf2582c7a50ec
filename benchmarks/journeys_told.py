"""What the journeys guide tells of intervals, leads and propensities: `python -m benchmarks.journeys_told [--json]`.

Intervals: in planted worlds of 5,000 users (15 exposures each over 70 days, 60 % learned from, 20 % to stop and
calibrate) the exact Bayesian answer of every test user and channel after the user's last exposure
(`benchmarks/_exact_clicks.py`) against the response model's 95 % interval, by exposures so far. Then the same in worlds
whose users are of two kinds and nothing between, which no law that the model fits has.

Leads: AUC of the next click at the channel that the log took, on all test users' steps of the planted worlds, over own
click share with an intercept for the channel: of the response model, and of the exact answer.

Propensities: logs of 12,000 exposures of one world of 1,200 users, a policy that knows the truth judged by
`crossmix/journeys/logged.py`, and how often the 95 % intervals hold what it earns.

An interval over worlds is Student's, that of a share of logs Wilson's. `--resume FILE` keeps every finished world.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.special import logit

from benchmarks import journeys
from benchmarks._exact_clicks import Truth, counts, exact, truth
from benchmarks._machine import machine
from benchmarks._resumed import Resumed
from crossmix.config import Demo
from crossmix.journeys.choices import by_margin
from crossmix.journeys.logged import ROBUST, SNIPS, Places, earning
from crossmix.journeys.measured import of_users
from crossmix.journeys.prepared import Prepared, prepare
from crossmix.journeys.references import own_clicks
from crossmix.journeys.response import Response, fit, phi_of
from crossmix.journeys.score import auc, draws
from crossmix.journeys.settings import Journeys
from crossmix.journeys.windows import TEST
from crossmix.journeys.world import planted, play_log

FIRST = 3_000
"""Seed of the first world; nothing was tuned on those from here on."""
WORLDS, KINDS, LOGS = 8, 4, 40
STEPS = {"1 to 10": (1, 10), "11 to 20": (11, 20), "above 20": (21, 1_000_000)}
"""Exposures of a user so far."""
LOGGED = Demo(seed=4, users=1_200, creatives=5, campaigns=1, days=2)
EXPOSURES = 12_000


def of_world(seed: int, *, kinds: bool, users: int) -> dict[str, Any]:
    """Coverage by exposures so far, mean width of intervals, and leads."""
    known = truth(Demo(seed=seed, users=users, creatives=20, campaigns=1, days=2), kinds=kinds)
    log, _ = play_log(known.world, users * journeys.EXPOSURES, journeys.DAYS, np.random.default_rng([seed, 9]))
    part_U = np.random.default_rng([seed, 10]).choice(3, users, p=[0.6, 0.2, 0.2])
    settings = Journeys(encoder="gru", learning=journeys.LEARNING)
    ready = prepare(log, part_U, settings)
    response, _ = fit(ready.table, ready.scaler, ready.learn, ready.validate, settings, part_U=part_U)
    return {"intervals": intervals(known, ready, response), "auc": ranked(known, ready, response)}


def intervals(known: Truth, ready: Prepared, response: Response) -> dict[str, dict[str, float]]:
    """Of test users after their last exposure, by how many that are; in log-odds what is a width or an error."""
    last = of_users(
        ready.events, np.flatnonzero(ready.is_of(TEST) & np.isin(np.arange(len(ready.part_U)), ready.events.user_R))
    )
    end_U = np.flatnonzero(~last.has_next_R)
    shown_RC, clicks_RC = counts(last)
    exact_UC, said = exact(known, shown_RC[end_U], clicks_RC[end_U]), response.answer(last)
    inside_UC = (said.click_low_UC <= exact_UC) & (exact_UC <= said.click_high_UC)
    width_UC = logit(said.click_high_UC) - logit(said.click_low_UC)
    error_UC = logit(said.click_UC) - logit(exact_UC)
    steps_U, found = shown_RC[end_U].sum(1), {}
    for name, (least, most) in {"all": (1, 1_000_000), **STEPS}.items():
        at_U = (least <= steps_U) & (steps_U <= most)
        found[name] = {
            "users": int(at_U.sum()),
            "covered": float(inside_UC[at_U].mean()),
            "width": float(width_UC[at_U].mean()),
            "width of a probability": float((said.click_high_UC - said.click_low_UC)[at_U].mean()),
            "error": float(np.sqrt(np.square(error_UC[at_U]).mean())),
        }
    return found


def ranked(known: Truth, ready: Prepared, response: Response) -> dict[str, float]:
    """AUC at the channel that the log took: of the model, of the exact answer, and of what knows own clicks."""
    row_S, channel_S = ready.test.row_S, ready.table.next_channel(ready.test.row_S)
    at = np.arange(len(row_S)), channel_S
    shown_RC, clicks_RC = counts(ready.events)
    told = {
        "response": response.heads[0].logit(phi_of(response, ready.table, ready.test))[at],
        "exact": exact(known, shown_RC[row_S], clicks_RC[row_S])[at],
        "own clicks on the channel": own_clicks.on_channel(ready.table, ready.learn, ready.validate, 0)(
            ready.test
        ).click_S,
    }
    code_S, times_DU = draws(ready.events.user_R[row_S], 0, 1)
    clicked_S = ready.table.next_click(row_S)
    return {name: float(auc(one, clicked_S, code_S, times_DU)[0]) for name, one in told.items() if one is not None}


def by_propensities(first: int, count: int) -> dict[str, list[bool]]:
    """Whether each log's 95 % interval holds what the policy earns, by estimate."""
    world = planted(LOGGED)
    held: dict[str, list[bool]] = {SNIPS: [], ROBUST: []}
    for seed in range(first, first + count):
        log = play_log(world, EXPOSURES, 30.0, np.random.default_rng([seed, 1]))[0]
        expected_SC = np.broadcast_to(world.cost_C, (len(log), len(world.channels)))

        def places(value_UC: np.ndarray, log: Any = log, expected_SC: np.ndarray = expected_SC) -> Places:
            return Places(
                user_S=log.user_R, channel_S=log.channel_R, propensity_S=world.share_C[log.channel_R],
                revenue_S=log.clicked_R.astype(float), cost_S=log.cost_R, value_SC=value_UC[log.user_R],
                expected_SC=expected_SC, picked=0.1,
            )  # fmt: skip

        policy_SC = by_margin(places(world.click_UC))
        true = (policy_SC * world.click_UC[log.user_R]).sum() / (policy_SC * world.cost_C).sum()
        # The model behind the doubly robust estimate knows nothing.
        found = earning(places(np.full_like(world.click_UC, world.click_UC.mean())), policy_SC)
        for by, one in found.per_cost.items():
            held[by].append(bool(one.low <= true <= one.high))
    return held


def summary(parts: dict[str, Any]) -> dict[str, Any]:
    """Means over worlds with their intervals, and each world's coverage."""
    told: dict[str, Any] = {}
    for law in ("planted", "two kinds"):
        worlds = {name.removeprefix(f"{law} "): one for name, one in parts.items() if name.startswith(f"{law} ")}
        if not worlds:
            continue
        told[law] = {
            steps: {
                "users": sum(one["intervals"][steps]["users"] for one in worlds.values()),
                **{
                    what: journeys.interval(np.array([one["intervals"][steps][what] for one in worlds.values()]))
                    for what in ("covered", "width", "width of a probability", "error")
                },
            }
            for steps in ("all", *STEPS)
        } | {"covered by world": {seed: one["intervals"]["all"]["covered"] for seed, one in worlds.items()}}
        of = {
            name: np.array([one["auc"][name] for one in worlds.values()]) for name in next(iter(worlds.values()))["auc"]
        }
        known = of["own clicks on the channel"]
        told[law]["auc"] = {name: journeys.interval(one) for name, one in of.items()}
        told[law]["lead"] = {name: journeys.interval(one - known) for name, one in of.items() if one is not known}
    if "propensities" in parts:
        told["propensities"] = {by: _share(held) for by, held in parts["propensities"].items()}
    return told


def _share(held: list[bool]) -> dict[str, Any]:
    """Wilson's interval (1927)."""
    n, p, z = len(held), float(np.mean(held)), 1.959964
    middle, half = (p + z**2 / 2 / n) / (1 + z**2 / n), z * np.sqrt(p * (1 - p) / n + (z / 2 / n) ** 2) / (1 + z**2 / n)
    return {"logs": n, "held": p, "ci95": [float(middle - half), float(middle + half)]}


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--first", type=int, default=FIRST, help="seed of the first world of each law")
    parser.add_argument("--worlds", type=int, default=WORLDS)
    parser.add_argument("--kinds", type=int, default=KINDS, help="worlds of two kinds of users")
    parser.add_argument("--logs", type=int, default=LOGS, help="with propensities; 0: none")
    parser.add_argument("--users", type=int, default=journeys.USERS)
    parser.add_argument("--resume", type=Path, help="where finished worlds are kept, and taken from")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    before, kept = os.getloadavg(), Resumed(options.resume, {"users": options.users, "logs": options.logs})
    of = [("planted", options.worlds, False), ("two kinds", options.kinds, True)]
    for law, worlds, kinds in of:
        for seed in range(options.first, options.first + worlds):
            kept.part(f"{law} {seed}", lambda s=seed, k=kinds: of_world(s, kinds=k, users=options.users))  # type: ignore[misc]
            if not options.json:
                print(f"{law} {seed}: {kept.seconds:.0f} CPU s", file=sys.stderr, flush=True)
    if options.logs:
        kept.part("propensities", lambda: by_propensities(0, options.logs))
    answer = summary(kept.parts) | {
        "users": options.users, "encoder": "gru", "worlds": options.worlds, "worlds of two kinds": options.kinds,
        "cpu_seconds": kept.seconds, "machine": machine(before),
    }  # fmt: skip
    print(json.dumps(answer, indent=1) if options.json else shown(answer))
    return answer


def shown(answer: dict[str, Any]) -> str:
    """For a person."""
    lines = []
    for law in ("planted", "two kinds"):
        for steps, row in ((steps, answer[law][steps]) for steps in ("all", *STEPS) if law in answer):
            told = "   ".join(f"{what} {journeys._shown(row[what])}" for what in ("covered", "width", "error"))
            lines.append(f"{law:10}{steps:10}{row['users']:6,} users   {told}")
        if law in answer:
            lines += [f"{law:10}{name} leads by {journeys._shown(one, 4)}" for name, one in answer[law]["lead"].items()]
    lines += [f"{by}: {one}" for by, one in answer.get("propensities", {}).items()]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
