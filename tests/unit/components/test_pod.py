"""What a step's pod is told by its environment."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from components.cache import declared_json, step_key
from components.declared import steps
from components.pod import RUN, TRAINJOB, config_of
from crossmix.config import from_json, load, to_json


def test_a_scheduled_run_has_kubeflows_id_and_a_key_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    champion = steps(None)["champion"]
    keys = set()
    for run in ("r1", "r2", "r1"):
        monkeypatch.setenv(RUN, run)
        config = config_of(declared_json(champion, load("laptop")))
        assert config.readapt.run == run
        keys.add(step_key(champion, config, {}))
    assert len(keys) == 2
    named = load("laptop", ["readapt.run=mine"])
    assert config_of(to_json(named)) == named
    monkeypatch.delenv(RUN)
    assert config_of(to_json(load("laptop"))) == load("laptop")


def test_the_runs_id_is_put_into_the_trainjobs_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(RUN, "r1")
    monkeypatch.setenv(TRAINJOB, '{"labels": {"crossmix/run": "$(CROSSMIX_RUN)"}}')
    config_of("{}")
    assert os.environ[TRAINJOB] == '{"labels": {"crossmix/run": "r1"}}'


@pytest.mark.parametrize("name", steps(None))
def test_a_step_given_what_it_declares_has_the_key_of_the_whole_config(name: str) -> None:
    whole = load("laptop", ["train.seed=5", "data.source=criteo", "data.path=/somewhere/log.tsv", "levels.size=0.5"])
    step = replace(steps(None)[name], reads_log=False)  # there is no such log
    part = from_json(declared_json(step, whole))
    assert step_key(step, part, {}) == step_key(step, whole, {})
