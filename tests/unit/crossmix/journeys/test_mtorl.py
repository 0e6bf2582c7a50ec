from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from crossmix.journeys import learn
from crossmix.journeys.mtorl import DilatedCausalConv, Mtorl, dpo_loss, gain, policy_loss, predicted, reward_loss
from crossmix.journeys.references import of_logs
from crossmix.journeys.score import score
from crossmix.journeys.settings import Learning, laptop, paper
from crossmix.journeys.settings import Mtorl as Settings
from crossmix.journeys.table import Batch, Table
from crossmix.journeys.windows import Windows, cut
from tests.support.journeys import events, table


def batch(clicks: list[list[int]], channels: list[list[int]], scored: list[list[int]] | None = None) -> Batch:
    click = torch.tensor(clicks, dtype=torch.float32)
    mask = torch.ones_like(click, dtype=torch.bool) if scored is None else torch.tensor(scored, dtype=torch.bool)
    channel = torch.tensor(channels)
    gain = torch.stack([click, torch.zeros_like(click), torch.full_like(click, 0.4)], -1)
    return Batch(torch.zeros(*click.shape, 3), mask, mask, channel, channel, click, gain, torch.zeros_like(click))


def small(**changes: object) -> Mtorl:
    torch.manual_seed(0)
    return Mtorl(3, 4, 8, 0.1, replace(Settings(), **changes)).eval()


def test_the_dilated_convolution_is_its_sum() -> None:
    """Equation 5: h_t = sum_i f(i) h_{t - d i}, here through the layer's filter alone."""
    layer = DilatedCausalConv(2, kernel=3, dilation=2, dropout=0.0)
    hidden = torch.randn(1, 9, 2)
    filter_OIK, bias = layer.filter.weight, layer.filter.bias
    expected = torch.zeros(9, 2)
    for step in range(9):
        for tap in range(3):
            if step - 2 * tap >= 0:
                # Conv1d's last tap is the present.
                expected[step] += filter_OIK[:, :, 2 - tap] @ hidden[0, step - 2 * tap]
    expected = layer.norm(hidden[0] + torch.relu(expected + bias))
    torch.testing.assert_close(layer(hidden)[0], expected)


def test_the_policy_loss_is_the_cross_entropy_of_judged_steps() -> None:
    one = batch([[0, 0], [0, 0]], [[2, 1], [0, 3]], [[1, 0], [1, 1]])
    log_policy = torch.log(torch.tensor([0.1, 0.2, 0.3, 0.4])).expand(2, 2, 4)
    expected = -(math.log(0.3) + math.log(0.1) + math.log(0.4)) / 3
    assert float(policy_loss(log_policy, one)) == pytest.approx(expected)


def test_the_binary_reward_loss_is_a_cross_entropy_of_both_outcomes() -> None:
    logit = torch.logit(torch.tensor([[0.8, 0.3]]))[..., None]
    mask = torch.ones(1, 2, dtype=torch.bool)
    found = float(reward_loss("binary", logit, torch.tensor([[1.0, 0.0]]), mask))
    assert found == pytest.approx(-(math.log(0.8) + math.log(0.7)) / 2, rel=1e-5)


def test_rewards_are_those_of_the_appendix() -> None:
    one = batch([[1, 0, 1]], [[0, 0, 0]])
    one.next_gain_BTG[0, 2, 1] = 1.0
    assert gain(Settings(reward_kind="binary"), one).tolist() == [[1, 0, 1]]
    assert gain(Settings(reward_kind="incompatible"), one).tolist() == [[1, 0, 2]]
    torch.testing.assert_close(gain(Settings(reward_kind="compatible"), one), torch.tensor([[1 / 11, 0, 1]]))
    # (g - s w - lowest) / (highest - lowest) with s = 0.5, w = 0.4, lowest = -0.5, highest = 11.
    expected = torch.tensor([[1.3 / 11.5, 0.3 / 11.5, 11.3 / 11.5]])
    torch.testing.assert_close(gain(Settings(reward_kind="continuous"), one), expected)


@pytest.mark.parametrize("kind", ["binary", "continuous", "compatible", "incompatible"])
def test_every_kind_of_reward_has_a_loss_with_a_gradient_and_a_prediction_in_0_1(kind: str) -> None:
    model = small(reward_kind=kind)
    one = batch([[1, 0, 1], [0, 0, 0]], [[0, 1, 2], [3, 3, 3]], [[1, 1, 1], [1, 1, 0]])
    loss = reward_loss(kind, model(one.feature_BTF)[1], gain(model.settings, one), one.scored_BT)  # type: ignore[arg-type]
    loss.backward()
    assert any(float(parameter.grad.abs().sum()) > 0 for parameter in model.reward.parameters())
    chance = predicted(kind, model(one.feature_BTF)[1])  # type: ignore[arg-type]
    assert chance.shape == (2, 3)
    assert ((chance > 0) & (chance < 1)).all()


def swapping() -> torch.Generator:
    """A generator that pairs each of two windows with the other."""
    for seed in range(50):
        if torch.randperm(2, generator=torch.Generator().manual_seed(seed))[0] == 1:
            return torch.Generator().manual_seed(seed)
    raise AssertionError("none of 50 seeds swaps two")


def test_dpo_prefers_the_window_with_more_clicks() -> None:
    """Equation 15 by hand: two windows, the first wins; each step's log sigmoid(beta (log w - log l))."""
    one = batch([[1, 1], [0, 1]], [[0, 0], [1, 1]])
    log_policy = torch.log(torch.tensor([[[0.7, 0.3], [0.5, 0.5]], [[0.4, 0.6], [0.9, 0.1]]]))
    found = float(dpo_loss(log_policy, one, 0.1, swapping()))
    margins = [0.1 * (math.log(0.7) - math.log(0.6)), 0.1 * (math.log(0.5) - math.log(0.1))]
    assert found == pytest.approx(np.mean([math.log1p(math.exp(-margin)) for margin in margins]), rel=1e-5)


def test_windows_of_equal_clicks_are_no_pair() -> None:
    one = batch([[1, 0], [0, 1]], [[0, 0], [1, 1]])
    log_policy = torch.randn(2, 2, 2).log_softmax(-1)
    assert all(float(dpo_loss(log_policy, one, 0.1, torch.Generator().manual_seed(seed))) == 0 for seed in range(5))


def test_the_whole_loss_adds_up() -> None:
    one = batch([[1, 1, 1], [0, 0, 0]], [[0, 1, 2], [3, 3, 3]])
    model = small(mu=0.5, dpo=2.0)
    log_policy, logit = model(one.feature_BTF)
    generator = torch.Generator().manual_seed(3)
    expected = policy_loss(log_policy, one) + 0.5 * reward_loss("binary", logit, one.next_click_BT, one.scored_BT)
    expected = expected + 2 * dpo_loss(log_policy, one, 0.1, generator)
    torch.testing.assert_close(model.loss(one, torch.Generator().manual_seed(3)), expected)


def test_the_papers_reward_head_is_blind_to_the_action_and_the_other_sees_it() -> None:
    feature = torch.randn(2, 5, 3)
    first, second = torch.zeros(2, 5, dtype=torch.long), torch.ones(2, 5, dtype=torch.long)
    blind, seeing = small(), small(reward_sees_action=True)
    assert torch.equal(blind(feature, first)[1], blind(feature, second)[1])
    assert not torch.equal(seeing(feature, first)[1], seeing(feature, second)[1])
    assert torch.equal(seeing(feature, first)[0], seeing(feature, second)[0])


def test_the_papers_sizes_are_the_defaults_and_the_laptops_are_smaller() -> None:
    settings = paper()
    assert (settings.window, settings.learning.width, settings.learning.batch, settings.learning.rate) == (
        20,
        512,
        512,
        1e-3,
    )
    assert (settings.mtorl.tcn_layers, settings.mtorl.norm_layers, settings.mtorl.reward_layers) == (2, 2, 3)
    assert (settings.mtorl.mu, settings.mtorl.dpo, settings.mtorl.beta, settings.mtorl.penalty) == (0.04, 1.4, 0.1, 0.5)
    assert replace(laptop(), learning=settings.learning, most_users=settings.most_users) == settings
    assert laptop().most_users is not None
    assert laptop().learning.width < settings.learning.width


def case() -> tuple[Table, Windows, Windows]:
    of = events(150, stay=0.85)
    windows = cut(of, 12, 6)
    user_N = of.user_R[windows.row_NT[:, 0]]
    train, test = windows.where(user_N < 110), windows.where(user_N >= 110)
    return table(of, train.row_S), train, test


LEARNING = Learning(width=16, dropout=0.1, batch=32, rate=5e-3, epochs=12, patience=12)


def test_it_learns_what_the_journey_tells() -> None:
    steps, train, test = case()
    module, curve = learn.train(
        lambda: Mtorl(steps.layout.size, steps.channels, 16, 0.1, Settings(mu=1.0)), steps, train, test, LEARNING
    )
    found = score(of_logs(*learn.predict(module, steps, test)), steps, test)
    # A user stays with chance 0.85 + 0.05: the entropy is 0.39 nats, the channels' shares alone leave log 3.
    assert found["nll"].value < 0.6
    assert found["auc"].value > 0.72, "own click rates are uniform on 0 to 1"
    assert curve.validation[curve.best] == min(curve.validation)


def test_training_follows_from_the_seed() -> None:
    steps, train, test = case()

    def one(seed: int, around: int) -> np.ndarray:
        settings = replace(LEARNING, epochs=2, seed=seed)
        torch.manual_seed(around)
        module, _ = learn.train(
            lambda: Mtorl(steps.layout.size, steps.channels, 16, 0.1, Settings()), steps, train, test, settings
        )
        return learn.predict(module, steps, test)[0]

    first = one(0, around=5)
    np.testing.assert_array_equal(first, one(0, around=6))
    assert not np.allclose(first, one(1, around=5))


def test_training_ends_where_patience_does() -> None:
    steps, train, test = case()
    settings = replace(LEARNING, rate=0.5, epochs=30, patience=2)
    _, curve = learn.train(
        lambda: Mtorl(steps.layout.size, steps.channels, 16, 0.1, Settings()), steps, train, test, settings
    )
    assert len(curve.validation) == curve.best + 3 < 30
