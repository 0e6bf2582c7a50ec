"""A competitor is one file: written beside the others it is found, labelled and played, with no other edit."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

import crossmix.baselines
from crossmix import registered
from crossmix.baselines.registry import BASELINES, label, report_readers, state_readers
from crossmix.config import load
from crossmix.evaluate.judge import act_of, judge_act
from tests.support.markets import make_market

NEW = """
from crossmix.baselines.registry import BASELINES, Baseline


def last(market):
    def act(state_BS, low_BP, high_BP, campaign_B):
        share_BP = low_BP.clone()
        share_BP[:, -1] += 1 - share_BP.sum(1)
        return share_BP

    return act


BASELINES.register(Baseline(name="last_one", label="all on the last", split=last))
"""


def test_the_competitors_are_those_of_the_files() -> None:
    assert {one.name for one in state_readers()} == {"uniform", "static", "control", "rule", "windowed_roi", "plug_in"}
    assert {one.name for one in report_readers()} == {"mpc", "pid", "mirror_descent", "ucb", "thompson"}
    for baseline in BASELINES.all():
        assert (baseline.split is None) != (baseline.player is None), baseline.name
    assert label("uniform") == "uniform split"
    assert label("policy") == "policy"


def test_a_new_file_is_a_competitor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "last_one.py").write_text(NEW)
    folders = [*crossmix.baselines.__path__, str(tmp_path)]
    monkeypatch.setattr(crossmix.baselines, "__path__", folders)
    monkeypatch.setattr(crossmix.baselines.__spec__, "submodule_search_locations", folders)
    monkeypatch.setattr(BASELINES, "_things", dict(BASELINES._things))
    registered.declared.cache_clear()
    try:
        assert "last_one" in [one.name for one in state_readers()]
        assert label("last_one") == "all on the last"
        market = make_market(platforms=3)
        config = load("laptop", ["evaluate.market_seeds=2", "evaluate.cycles=2"])
        record = judge_act(market, config, act_of(BASELINES.get("last_one"), market), "last_one")
        assert record.share_NP[:, -1].tolist() == pytest.approx([1.0, 1.0])
        assert record.breaks == 0
        assert torch.equal(torch.tensor(record.column("spend")[:, 0]), torch.zeros(2, dtype=torch.float64))
    finally:
        sys.modules.pop("crossmix.baselines.last_one", None)
        registered.declared.cache_clear()
