"""What a server refuses to start with is named by the key of its config."""

from __future__ import annotations

import pytest

from crossmix.config import ConfigError, load
from serving.app import Settings, config_of
from serving.assignment.arms import Experiment, ExperimentFieldError


def test_an_experiment_that_cannot_run_is_named_by_its_key() -> None:
    with pytest.raises(ConfigError, match=r"^serving\.weight: 0\.70001 is no whole number of 10,000 buckets; round it"):
        config_of(load("laptop", ["serving.weight=0.70001"]))
    with pytest.raises(ExperimentFieldError, match=r"^experiment\.weights\.control: 1\.5; give a share") as refused:
        Experiment("first", "salt", {"policy": 0.5, "control": 1.5})
    assert (refused.value.field, refused.value.problem) == ("weights", "1.5; give a share from 0 to 1")


def test_a_sound_config_is_given_back() -> None:
    config = load("laptop", ["serving.experiment=second"])
    assert config_of(config) is config


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (Settings(role="judge"), "--role: 'judge'; use one of all, policy, control, router"),
        (Settings(role="router"), "--role router: it has no predictors; name them with --policy-url"),
        (Settings(host="0.0.0.0"), "--host 0.0.0.0: others can reach it, so callers need tokens"),
    ],
)
def test_settings_that_cannot_run_are_refused(settings: Settings, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        settings.check()
