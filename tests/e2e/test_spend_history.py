"""From the demo log's daily totals alone to a policy, judged in the market fitted from the whole log (`make soak`)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.totals import daily_totals
from crossmix.baselines.registry import BASELINES
from crossmix.config import load
from crossmix.evaluate.judge import act_of, from_state, judge_act, oracle, summarise
from crossmix.market.model import load as load_market
from crossmix.schema import Dataset
from crossmix.training.policy_file import load_policy


def _run(out: Path, *more: str) -> dict[str, Path]:
    command = [sys.executable, "-m", "pipelines.cli.main", "run", "--out", str(out), *more]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    # 3: judged, and a gate found too little data in fewer, coarser totals.
    assert done.returncode in (0, 3), done.stdout
    steps = json.loads((out / "run.json").read_text())["steps"]
    return {name: out / folder for name, folder in steps.items()}


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_totals_of_the_demo_log_are_enough_for_a_good_policy(tmp_path: Path) -> None:
    whole = _run(tmp_path / "whole", "--source", "demo")
    history = tmp_path / "history.csv"
    daily_totals(Dataset(whole["ingest"]), planned=False).to_csv(history, index=False)
    coarse = _run(tmp_path / "spend", "--source", "spend", "--data", str(history))
    market, config = load_market(whole["market"]), load("laptop")
    actor = load_policy(coarse["train"])
    assert load_market(coarse["market"]).platforms == market.platforms  # the state's slots are the same
    players = {
        "policy": from_state(lambda state, low, high, _: actor(state, low, high)),
        "oracle": oracle,
        "uniform": act_of(BASELINES.get("uniform"), market),
    }
    records = {name: judge_act(market, config, act, name) for name, act in players.items()}
    table = summarise(records, {}, config, market.platforms)
    assert table["policy"]["gap_closed"]["ci95"][0] >= 0.6
    assert records["policy"].breaks == 0
