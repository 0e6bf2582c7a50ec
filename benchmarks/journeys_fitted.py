"""What a run's model earns in worlds fitted on its own test users: `python -m benchmarks.journeys_fitted OUT [--json]`.

OUT is a finished run of task `journeys` on a log that is not generated. Each seed draws another world from the
posterior of its test users, other groups of them and other luck (`crossmix journeys simulate OUT --seed`). Users and
log are the same in all: an interval is over groups of one seed, and seeds say how far the draw moves it.
Semi-synthetic.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks._machine import machine
from pipelines.cli.journeys import played, table
from pipelines.local import run_config

SEEDS = 5
HELD = 1.0
"""Spread of users' log-odds in one more world of seed 0: what the likelihood's own spread changes."""


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Play and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    before, started = os.getloadavg(), time.process_time()
    worlds = [played(options.out, fatigue=False, blocks=None, seed=seed) for seed in range(options.seeds)]
    held = played(options.out, fatigue=False, blocks=None, seed=0, spread=HELD)
    if not options.json:
        for seed, world in enumerate(worlds):
            print(f"seed {seed}\n{table(world)}")
        print(f"seed 0, spread at most {HELD:g}\n{table(held)}")
    config = run_config(options.out)
    learning = config["journeys"]["learning"]
    answer = {
        "run": {
            "source": config["data"]["source"],
            "channel": config["data"]["criteo_channel"],
            "encoder": config["journeys"]["encoder"],
            **{name: learning[name] for name in ("width", "epochs", "seed")},
            "allocation": config["journeys"]["allocation"],
        },
        "seeds": worlds,
        "seed 0, spread at most 1": held,
        "cpu_seconds": time.process_time() - started,
        "machine": machine(before),
    }
    if options.json:
        print(json.dumps(answer, indent=1))
    return answer


if __name__ == "__main__":
    main()
