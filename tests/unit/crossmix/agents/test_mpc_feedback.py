"""What the base policy makes of feedback that is partial, late or at its bound, in a steady market."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from crossmix.agents import mpc
from crossmix.config import Config, load
from tests.support.base_policies import SteadyMarket


@pytest.fixture
def config() -> Config:
    return load("laptop")


def test_volume_within_its_noise_is_the_usual_one(steady: SteadyMarket) -> None:
    for factor, least, most in ((1.05, 0.99, 1.01), (0.9, 0.95, 1.01), (2.0, 1.7, 2.0), (0.4, 0.38, 0.5)):
        assert least < steady.volume(factor) < most
        # On all platforms alike it is the budget that was another.
        assert steady.volume(factor, slots=slice(None)) == pytest.approx(1, abs=0.02)
    # An outage in the window: what was delivered in the last cycle is not known.
    steady.platforms("utilisation").mul_(0.3)
    assert steady.volume(2.0) < 1.3
    steady.platforms("utilisation").div_(0.3)
    # Where none is told, and beside those that are not told.
    assert steady.volume(float("inf")) == 1
    assert steady.volume(3.0, untold=slice(4, 10)) == pytest.approx(steady.volume(3.0), abs=0.1)
    # A fit that may be wrong by more tells less.
    steady.plan.requests_error.fill_(1.0)
    assert steady.volume(3.0) < 1.5


def test_impressions_at_the_told_volume_are_the_told_win_rate(
    steady: SteadyMarket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cost curve is entered where the platform was, not where the usual volume would have it."""
    wins = []
    level = mpc.BasePolicy._price_multiplier
    monkeypatch.setattr(mpc.BasePolicy, "_price_multiplier", lambda *given: wins.append(given[4]) or level(*given))
    steady.plan.requests_error.zero_()
    steady.volume(1.0)
    steady.volume(3.0)
    ratio = wins[1] / wins[0]
    assert float(ratio[:, 3].median()) == pytest.approx(1 / 3, abs=0.06)
    assert float(ratio[:, 5].median()) == pytest.approx(1, abs=0.06)


def test_a_flight_that_is_over_leaves_nothing_to_pace(steady: SteadyMarket, monkeypatch: pytest.MonkeyPatch) -> None:
    """The split after a log's last cycle: the money left over is not what a cycle was given."""
    counted = []
    level = mpc.BasePolicy._price_multiplier
    monkeypatch.setattr(mpc.BasePolicy, "_price_multiplier", lambda *given: counted.append(given[-1]) or level(*given))
    for consumed, elapsed in ((0.5, 0.5), (0.96, 1.0)):
        steady.campaign("consumed").fill_(consumed)
        steady.campaign("elapsed").fill_(elapsed)
        steady.plan(steady.state)
    assert torch.allclose(counted[1], counted[0])


@pytest.fixture
def steady(config: Config) -> SteadyMarket:
    return SteadyMarket(config)


def test_conversions_that_are_due_are_not_taken_for_lost(steady: SteadyMarket) -> None:
    """They look like a fall that all platforms share; what they do not share is one."""
    usual = steady.usual_cvr
    for lacking, least, most in ((0.6, 0.9, 1.0), (0.3, 0.7, 1.0), (2.0, 1.9, 2.1)):
        steady.platforms("windowed_cvr").copy_(lacking * usual)
        assert least < steady.factors()[0] < most, lacking
    steady.campaign("elapsed").fill_(0.5)
    for slot in range(10):
        for factor, least, most in ((0.4, 0.35, 0.6), (0.0, 0.0, 0.2)):
            steady.platforms("windowed_cvr").copy_(usual)
            steady.platforms("windowed_cvr")[:, slot] *= factor
            assert least < steady.factors(slot)[0] < most, (slot, factor)
    # A rise is none that conversions which are due would make.
    steady.platforms("windowed_cvr").copy_(0.3 * usual)
    steady.platforms("windowed_cvr")[:, 2] = 2 * usual[:, 2]
    assert steady.factors(2)[0] > 1.7
    # A platform's own fall says nothing of how late conversions are, however large a part of them it had.
    lacking = mpc._due(torch.tensor([[0.0, 5.0, 5.0]]), torch.tensor([[100.0, 5.0, 5.0]]))
    assert lacking[0, 0] == 0
    assert lacking[0, 1] > 4
    # Where half of the window's plan was delivered, delivery may have just ended.
    steady.platforms("windowed_cvr").copy_(2.0 * usual)
    steady.platforms("utilisation").mul_(0.4)
    assert steady.factors()[0] < 1.5


def test_what_feedback_does_not_tell_is_no_fall(steady: SteadyMarket) -> None:
    assert steady.factors()[1] == pytest.approx(1, abs=0.03)
    steady.campaign("elapsed").fill_(0.5)
    steady.platforms("windowed_roi").zero_()
    assert steady.factors()[1] < 0.1
    steady.campaign("windowed_roi").zero_()
    assert steady.factors()[1] == 1
    steady.platforms("windowed_cvr")[:, 4] = 0
    assert steady.factors(4)[0] < 0.2
    steady.platforms("windowed_cvr").zero_()
    steady.campaign("windowed_cvr").zero_()
    assert steady.factors()[0] == pytest.approx(1, abs=0.01)


def test_impressions_are_counted_in_budgets_as_paced(steady: SteadyMarket, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of the money is left for a quarter of the cycles: a cycle's budget is twice the plan's."""
    counted = []
    level = mpc.BasePolicy._price_multiplier

    def kept(*given: Tensor) -> object:
        counted.append(given[-1])
        return level(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(mpc.BasePolicy, "_price_multiplier", kept)
    for consumed, elapsed in ((0.5, 0.5), (0.5, 0.75)):
        steady.campaign("consumed").fill_(consumed)
        steady.campaign("elapsed").fill_(elapsed)
        steady.plan(steady.state)
    assert torch.allclose(counted[1], 2 * counted[0])


def test_a_return_at_the_states_bound_is_no_fall_of_the_value(steady: SteadyMarket) -> None:
    conversions = steady.platforms("windowed_roi") / steady.market.value["value"][torch.arange(8) % 2]
    steady.plan.value *= 100 / float((conversions * steady.market.value["value"][torch.arange(8) % 2]).median())
    steady.platforms("windowed_roi").fill_(mpc.HIGHEST_ROI)
    assert steady.factors()[1] == 1
    steady.platforms("windowed_roi").fill_(mpc.HIGHEST_ROI - 1)
    assert steady.factors()[1] < 0.8
