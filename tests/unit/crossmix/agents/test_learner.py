"""Settings that one agent alone has, and what a round's result is called in the learning curve."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from crossmix.agents.learner import AGENTS, Agent, figures_of, own_settings
from crossmix.config import STRICT, ConfigError, Positive, load


@dataclass(frozen=True, kw_only=True, slots=True)
class Own:
    """Of an agent for this test."""

    __pydantic_config__ = STRICT
    spread: Positive = 2.0


def test_an_agent_without_settings_of_its_own_takes_none() -> None:
    assert own_settings(load("laptop").train) is None
    given = load("laptop", ["train.agent=ppo", "train.settings.spread=1"]).train
    with pytest.raises(ConfigError, match=r"^train.settings.spread: agent 'ppo' has no settings of its own; drop the"):
        own_settings(given)


def test_an_agents_own_settings_are_filled_and_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(AGENTS._things, "ppo", Agent(name="ppo", label="for this test", settings=Own))

    def settings(*overrides: str) -> object:
        return own_settings(load("laptop", ["train.agent=ppo", *overrides]).train)

    assert settings() == Own(spread=2.0)
    assert settings("train.settings.spread=0.5") == Own(spread=0.5)
    for override, message in (
        ("train.settings.spred=1", "train.settings.spred: unknown config key; use spread"),
        ("train.settings.spread=-1", "train.settings.spread: -1 does not fit"),
    ):
        with pytest.raises(ConfigError, match=message):
            settings(override)


def test_figures_are_named_after_their_learner() -> None:
    assert figures_of("mine", Own(spread=3)) == {"mine_spread": 3.0}
