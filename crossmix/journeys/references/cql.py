"""Conservative Q-learning for discrete actions (Kumar et al. 2020, its eq. 4 with entropy; double Q-learning).

    (Q(s, a) - r - gamma Q'(s', argmax Q(s', .)))^2 / 2 + alpha (log sum_b exp Q(s, b) - Q(s, a))

Its policy, where probabilities are asked for, is softmax(Q); the mean of Q under it ranks users by what they earn.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from crossmix.journeys.references import Answers, Fitted, of_logs
from crossmix.journeys.references.transitions import DISCOUNT, Transitions, build, net, states, train
from crossmix.journeys.table import Table
from crossmix.journeys.windows import Windows

ALPHA = 1.0


def fit(table: Table, train_windows: Windows, validation: Windows, seed: int) -> Fitted:
    """Train Q."""
    q = build(lambda: net(table.layout.size, table.channels), seed)

    def loss(batch: Transitions, target: nn.Module) -> Tensor:
        value_BC: Tensor = q(batch.state_BF)
        with torch.no_grad():
            best_B = q(batch.next_BF).argmax(1, keepdim=True)
            after_B = target(batch.next_BF).gather(1, best_B)[:, 0]
            goal_B = batch.reward_B + DISCOUNT * batch.goes_on_B * after_B
        taken_B = batch.of_action(value_BC)
        conservative = (value_BC.logsumexp(1) - taken_B).mean()
        whole: Tensor = functional.mse_loss(taken_B, goal_B) / 2 + ALPHA * conservative
        return whole

    train(q, table, train_windows, seed, loss)

    def answer(windows: Windows) -> Answers:
        with torch.no_grad():
            value_SC = q(states(table, windows)).double()
            log_SC = value_SC.log_softmax(1)
        return of_logs(log_SC.numpy(), (log_SC.exp() * value_SC).sum(1).numpy())

    return answer
