"""The Gymnasium adapter: Gymnasium's own checks, and that it is the market it wraps."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("gymnasium")

from gymnasium.utils import env_checker, passive_env_checker
from gymnasium.vector import AutoresetMode

from crossmix.config import laptop
from crossmix.market.environment import MarketEnvironment, episode_campaigns
from crossmix.market.gym import MarketEnv, MarketVectorEnv
from tests.support.markets import make_market

FLIGHTS, PLATFORMS, CYCLES = 6, 10, 4


def _flights(**arguments: Any) -> MarketVectorEnv:
    return MarketVectorEnv(make_market(), laptop(), **({"num_envs": FLIGHTS, "cycles": CYCLES} | arguments))


@pytest.fixture
def _warnings_are_errors():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # The fused context has no bounds, and its space says so.
        warnings.filterwarnings("ignore", message=".*observation space (minimum|maximum) value is -?infinity")
        yield


@pytest.mark.usefixtures("_warnings_are_errors")
@pytest.mark.parametrize("mechanism", ["exact", "counts", "expected"])
def test_one_flight_passes_gymnasiums_checker(mechanism: str) -> None:
    flight = MarketEnv(make_market(), laptop(), cycles=CYCLES, mechanism=mechanism)
    env_checker.check_env(flight, skip_render_check=True)


@pytest.mark.usefixtures("_warnings_are_errors")
def test_the_batch_passes_those_of_gymnasiums_checks_that_know_batches() -> None:
    # Gymnasium has no checker for vector environments: these parts of `check_env` do not ask for scalars.
    flights = _flights()
    passive_env_checker.check_action_space(flights.action_space)
    passive_env_checker.check_observation_space(flights.observation_space)
    for check in (
        env_checker.check_reset_return_type,
        env_checker.check_reset_seed_determinism,
        env_checker.check_reset_options,
    ):
        check(flights)


def test_the_same_seed_and_actions_are_the_same_steps() -> None:
    flights = _flights()
    flights.action_space.seed(1)
    actions = flights.action_space.sample()
    runs = []
    for _ in range(2):
        flights.reset(seed=5)
        runs.append([flights.step(actions) for _ in range(CYCLES + 2)])  # over the restart
    for one, other in zip(*runs, strict=True):
        assert env_checker.data_equivalence(one, other, exact=True)


def test_shapes_types_and_masks() -> None:
    flights = _flights()
    states, infos = flights.reset(seed=3)
    assert states in flights.observation_space
    assert set(infos) == {"low", "high", "_low", "_high"}
    states, rewards, terminated, truncated, infos = flights.step(flights.action_space.sample())
    assert states in flights.observation_space
    assert (states.shape, states.dtype) == ((FLIGHTS, 640), np.float32)
    assert (rewards.shape, rewards.dtype) == ((FLIGHTS,), np.float64)
    assert terminated.dtype == truncated.dtype == bool
    np.testing.assert_allclose(infos["share"].sum(1), 1, atol=1e-5)
    assert all(infos[f"_{name}"].all() for name in infos if not name.startswith("_"))


def test_it_is_the_market_it_wraps() -> None:
    market, config = make_market(), laptop()
    flights = MarketVectorEnv(market, config, num_envs=FLIGHTS, cycles=CYCLES, scale=3.0)
    own = MarketEnvironment(
        market, config, campaign_B=episode_campaigns(market, FLIGHTS), cycles=CYCLES, mechanism="counts", seed=9
    )
    states, _ = flights.reset(seed=9)
    np.testing.assert_array_equal(states, own.observe().state_BS.numpy())
    actions = flights.action_space.sample()
    states, rewards, _, _, infos = flights.step(actions)
    step = own.step(torch.softmax(3 * torch.from_numpy(actions), 1))
    np.testing.assert_array_equal(states, step.observation.state_BS.numpy())
    np.testing.assert_allclose(rewards, step.reward_B.numpy())
    np.testing.assert_array_equal(infos["share"], step.share_BP.numpy())


def test_a_wanted_split_is_reached_by_its_logarithm() -> None:
    flights = _flights()
    flights.reset(seed=1)
    split = np.linspace(1, 10, PLATFORMS) / np.linspace(1, 10, PLATFORMS).sum()
    action = np.log(split) / 5 - np.log(split).mean() / 5
    *_, infos = flights.step(np.tile(action, (FLIGHTS, 1)).astype(np.float32))
    np.testing.assert_allclose(infos["share"], np.tile(split, (FLIGHTS, 1)), atol=1e-5)


def test_caps_hold_and_actions_beyond_the_range_are_clipped() -> None:
    market = replace(make_market(), maximum=torch.full((2, PLATFORMS), 0.25), static=torch.full((2, PLATFORMS), 0.1))
    results = []
    for size in (1.0, 50.0):
        flights = MarketVectorEnv(market, laptop(), num_envs=2, cycles=CYCLES)
        flights.reset(seed=1)
        actions = np.full((2, PLATFORMS), -size, np.float32)
        actions[:, 3] = size
        *_, infos = flights.step(actions)
        results.append(infos["share"])
    np.testing.assert_array_equal(*results)
    np.testing.assert_allclose(results[0][:, 3], 0.25, atol=1e-5)


def test_flights_end_together_and_the_next_step_restarts_them() -> None:
    flights = _flights()
    assert flights.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP
    flights.reset(seed=1)
    actions = np.zeros((FLIGHTS, PLATFORMS), np.float32)
    ends = [flights.step(actions)[2] for _ in range(CYCLES)]
    assert [bool(end.all()) for end in ends] == [False] * (CYCLES - 1) + [True]
    states, rewards, terminated, truncated, infos = flights.step(actions)
    assert not rewards.any()
    assert not (terminated | truncated).any()
    assert "share" not in infos
    elapsed = states[:, 512 + 120]
    np.testing.assert_array_equal(elapsed, np.zeros(FLIGHTS))


def test_resets_without_a_seed_bring_other_markets() -> None:
    flights = _flights()
    first, _ = flights.reset(seed=1)
    second, _ = flights.reset()
    third, _ = flights.reset()
    assert not np.allclose(first, second)
    assert not np.allclose(second, third)


def test_campaigns_can_be_named() -> None:
    market = make_market()
    flights = _flights(num_envs=2, campaigns=[1, 1])
    torch.testing.assert_close(flights.market.budget_B, market.budget[[1, 1]])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_envs": 0}, "num_envs: 0 flights"),
        ({"scale": 0.0}, "scale: 0.0 is not a positive number"),
        ({"scale": float("nan")}, "scale: nan is not a positive number"),
        ({"campaigns": [0] * 5 + [2]}, r"campaigns: \[0, 0, 0, 0, 0, 2\] are not 6 of 0 .. 1"),
        ({"mechanism": "sampled"}, "mechanism: 'sampled' is unknown"),
    ],
)
def test_what_cannot_be_is_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _flights(**arguments)


def test_bad_actions_and_options_are_named() -> None:
    flights = _flights()
    flights.reset(seed=1)
    with pytest.raises(ValueError, match="NaN is no action"):
        flights.step(np.full((FLIGHTS, PLATFORMS), np.nan, np.float32))
    with pytest.raises(ValueError, match=r"got shape \(6, 9\), want \(6, 10\)"):
        flights.step(np.zeros((FLIGHTS, 9), np.float32))
    with pytest.raises(ValueError, match="options: reset_mask is unknown"):
        flights.reset(options={"reset_mask": np.ones(FLIGHTS, bool)})
