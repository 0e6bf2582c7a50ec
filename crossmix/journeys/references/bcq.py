"""Discrete batch-constrained Q-learning (Fujimoto et al. 2019, arXiv 1910.01708, eq. 10 to 12).

Only channels that the cloned policy gives at least `THRESHOLD` of its likeliest one's chance may be chosen; among them
the one of most Q is. Probabilities, where they are asked for, are the cloned policy's. Q of the choice ranks users.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from crossmix.journeys.references import Answers, Fitted
from crossmix.journeys.references.transitions import DISCOUNT, Transitions, build, net, states, train
from crossmix.journeys.table import Table
from crossmix.journeys.windows import Windows

THRESHOLD = 0.3


def fit(table: Table, train_windows: Windows, validation: Windows, seed: int) -> Fitted:
    """Train Q and the cloned policy together."""
    size, channels = table.layout.size, table.channels
    nets = build(lambda: nn.ModuleDict({"q": net(size, channels), "clone": net(size, channels)}), seed)
    q, clone = nets["q"], nets["clone"]  # type: ignore[index]

    def allowed(state_BF: Tensor) -> Tensor:
        """Q, and minus infinity where the cloned policy hardly goes."""
        log_BC = clone(state_BF).log_softmax(1)
        rare_BC = (log_BC - log_BC.max(1, keepdim=True).values).exp() < THRESHOLD
        constrained: Tensor = q(state_BF).masked_fill(rare_BC, -torch.inf)
        return constrained

    def loss(batch: Transitions, target: nn.Module) -> Tensor:
        with torch.no_grad():
            best_B = allowed(batch.next_BF).argmax(1, keepdim=True)
            after_B = target["q"](batch.next_BF).gather(1, best_B)[:, 0]  # type: ignore[index]
            goal_B = batch.reward_B + DISCOUNT * batch.goes_on_B * after_B
        error = functional.smooth_l1_loss(batch.of_action(q(batch.state_BF)), goal_B)
        return error - batch.of_action(clone(batch.state_BF).log_softmax(1)).mean()

    train(nets, table, train_windows, seed, loss)

    def answer(windows: Windows) -> Answers:
        with torch.no_grad():
            state_SF = states(table, windows)
            best_S = allowed(state_SF).max(1)
            log_SC = clone(state_SF).double().log_softmax(1)
        return Answers(best_S.indices.numpy(), log_SC.numpy(), best_S.values.double().numpy())

    return answer
