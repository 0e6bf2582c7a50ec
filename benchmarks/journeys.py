"""What a policy of users' channels earns where the truth is known: `python -m benchmarks.journeys [--json]`.

Each planted world (`crossmix/journeys/world.py`) has 5,000 users of the generated log's kind and one campaign. The
log's policy writes 15 exposures a user over 70 days; 60 % of the users are learned from, 20 % stop and calibrate, and
on the other 20 % every player of `crossmix/journeys/players.py` spends the same budget: 20 rounds a day apart, each of
one exposure for a tenth of the users at the log's mean cost. `--fatigue`: an exposure tires its user of its channel.

Counted is expected revenue per cost. Intervals are 95 %, Student's over worlds; a lead is paired by world. `agreement`
is the seed's reward: clicks where the model's channel is the log's, over exposures, on test users' logged steps.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from typing import Any

import numpy as np
import torch
from scipy import stats

from benchmarks._machine import machine
from crossmix.config import Demo
from crossmix.journeys.learn import train
from crossmix.journeys.measured import of_users, prices_of
from crossmix.journeys.mtorl import Mtorl
from crossmix.journeys.net import PASS
from crossmix.journeys.players import (
    best_channel,
    best_for_clickers,
    by_log,
    by_mtorl,
    by_response,
    by_shares,
    initial_policy,
    repeat_last,
)
from crossmix.journeys.prepared import Prepared, prepare
from crossmix.journeys.response import fit
from crossmix.journeys.settings import Allocation, Journeys, Learning
from crossmix.journeys.simulate import Played, play
from crossmix.journeys.stored import make_mtorl
from crossmix.journeys.windows import TEST, TRAIN, VALIDATION
from crossmix.journeys.world import World, planted, play_log

WORLDS, USERS, EXPOSURES, DAYS = 10, 5_000, 15, 70.0
ROUNDS, PICKED = 20, 0.1
ALPHA, ETA = 0.5, 0.5
"""Of eq. 17 and of Algorithm 1; the paper tunes both and gives neither."""
LEARNING = Learning(width=32, batch=256, rate=3e-3, epochs=20, patience=4)


def of_world(seed: int, *, fatigue: bool, encoder: str, users: int = USERS) -> dict[str, Any]:
    """All players in one world: what each earned, and the seed's reward on the log."""
    world = planted(Demo(seed=1_000 + seed, users=users, creatives=20, campaigns=1, days=2))
    world = world.tiring() if fatigue else world
    log, tired_UC = play_log(world, users * EXPOSURES, DAYS, np.random.default_rng([seed, 9]))
    part_U = np.random.default_rng([seed, 10]).choice(3, users, p=[0.6, 0.2, 0.2])
    settings = Journeys(encoder=encoder, learning=LEARNING)  # type: ignore[arg-type]
    ready = prepare(log, part_U, settings)
    response, _ = fit(ready.table, ready.scaler, ready.learn, ready.validate, settings, part_U=part_U)
    mtorl, _ = train(
        lambda: make_mtorl(ready.table.layout, settings), ready.table, ready.learn, ready.validate, LEARNING
    )
    assert isinstance(mtorl, Mtorl)
    initial_C = initial_policy(mtorl, ready.table, ready.learn, ALPHA)
    training = log.of_users(ready.is_of(TRAIN))
    test = np.flatnonzero(ready.is_of(TEST))
    judged = world.of(test)
    meeting = response.answer(of_users(log, np.flatnonzero(ready.is_of(VALIDATION))))
    allocation = Allocation(rounds=ROUNDS, picked=PICKED)
    [prices] = prices_of(training, np.repeat("one", len(training)), meeting, allocation, "credits").values()
    best = best_channel(training, 0.0)
    players = [
        by_log(judged.share_C),
        by_shares("eq. 17", initial_C),
        repeat_last(best),
        *by_mtorl(mtorl, response, initial_C, ETA),
        by_shares("best channel", np.eye(len(world.channels))[best]),
        best_for_clickers(best, float(training.clicked_R.mean())),
        by_response(response, prices),
    ]
    played = play(
        judged, of_users(log, test), tired_UC[test], players,
        budget=budget_of(judged), rounds=ROUNDS, days=1.0, seed=seed,
    )  # fmt: skip
    return {"played": played, "agreement": agreement(ready, mtorl)}


def budget_of(world: World) -> float:
    """Currency."""
    return float(ROUNDS * PICKED * world.users * (world.share_C @ world.cost_C))


@torch.no_grad()
def agreement(ready: Prepared, mtorl: Mtorl) -> dict[str, float]:
    """The seed's reward on test users: of MTORL, of the log itself, of repeating the last channel."""
    events, row_S = ready.events, ready.test.row_S
    said = []
    for first in range(0, len(ready.test), PASS):
        batch = ready.table.batch(ready.test, slice(first, first + PASS))
        said.append(mtorl.predict(batch)[0].argmax(-1)[batch.scored_BT].numpy())
    clicked_S, channel_S = events.clicked_R[row_S + 1], events.channel_R[row_S + 1]
    return {
        "MTORL": float((clicked_S & (np.concatenate(said) == channel_S)).mean()),
        "log": float(clicked_S.mean()),
        "repeat last": float((clicked_S & (events.channel_R[row_S] == channel_S)).mean()),
    }


def summary(worlds: list[dict[str, Any]]) -> dict[str, Any]:
    """Means over worlds with their intervals; leads of `response` paired by world."""
    names = [one.name for one in worlds[0]["played"]]
    table: dict[str, list[Played]] = {
        name: [next(one for one in world["played"] if one.name == name) for world in worlds] for name in names
    }
    response = np.array([one.per_cost for one in table["response"]])
    oracle = np.array([one.per_cost for one in table["oracle"]])
    rows = {}
    for name, all_of_it in table.items():
        own = np.array([one.per_cost for one in all_of_it])
        rows[name] = {
            "revenue_per_cost": interval(own),
            "of_oracle": interval(own / oracle),
            "clicks_per_cost": interval(np.array([one.clicks / one.cost for one in all_of_it])),
            "spent": float(np.mean([one.cost / one.budget for one in all_of_it])),
            "spent_most": float(np.max([one.cost / one.budget for one in all_of_it])),
            "response_leads_by": interval(response - own),
        }
    seeds = {name: float(np.mean([world["agreement"][name] for world in worlds])) for name in worlds[0]["agreement"]}
    clear = {
        name: row["response_leads_by"]["ci95"][0] > 0
        for name, row in rows.items()
        if name not in ("response", "oracle")
    }
    return {"players": rows, "response_clearly_above": clear, "agreement": seeds}


def interval(value_W: np.ndarray) -> dict[str, Any]:
    """Mean and its 95 % interval over worlds; of one world alone none."""
    mean = float(value_W.mean())
    if len(value_W) < 2:
        return {"mean": mean, "ci95": [float("-inf"), float("inf")]}
    half = float(stats.t.ppf(0.975, len(value_W) - 1) * value_W.std(ddof=1) / np.sqrt(len(value_W)))
    return {"mean": mean, "ci95": [mean - half, mean + half]}


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--worlds", type=int, default=WORLDS)
    parser.add_argument("--users", type=int, default=USERS)
    parser.add_argument("--fatigue", action="store_true", help="an exposure tires its user of its channel")
    parser.add_argument("--encoder", choices=("mtorl", "gru"), default="gru", help="of the response model")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    before, started = os.getloadavg(), time.process_time()
    worlds = []
    for seed in range(options.worlds):
        worlds.append(of_world(seed, fatigue=options.fatigue, encoder=options.encoder, users=options.users))
        if not options.json:
            print(f"world {seed}: {time.process_time() - started:.0f} CPU s", file=sys.stderr, flush=True)
    answer = summary(worlds) | {
        "worlds": options.worlds,
        "users": options.users,
        "fatigue": options.fatigue,
        "encoder": options.encoder,
        "cpu_seconds": time.process_time() - started,
        "machine": machine(before),
    }
    if options.json:
        print(json.dumps(answer, indent=1))
        return answer
    print(f"{'':20}{'revenue per cost':>26}{'of the oracle':>22}{'spent':>8}   response leads by")
    for name, row in answer["players"].items():
        print(
            f"{name:20}{_shown(row['revenue_per_cost']):>26}{_shown(row['of_oracle'], 2):>22}{row['spent']:8.3f}   "
            f"{_shown(row['response_leads_by'])}"
        )
    print("the seed's reward on the log:", ", ".join(f"{name} {one:.4f}" for name, one in answer["agreement"].items()))
    return answer


def _shown(item: dict[str, Any], digits: int = 3) -> str:
    low, high = item["ci95"]
    return f"{item['mean']:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


if __name__ == "__main__":
    main()
