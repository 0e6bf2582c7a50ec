"""Implicit Q-learning for discrete actions (Kostrikov et al. 2021, eq. 5 to 7).

    V: expectile of Q'(s, a) - V(s) at tau         Q: (r + gamma V(s') - Q(s, a))^2
    pi: -exp(beta (Q'(s, a) - V(s))) log pi(a | s), the weight at most 100

V ranks users by what they earn.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from crossmix.journeys.references import Answers, Fitted, of_logs
from crossmix.journeys.references.transitions import DISCOUNT, Transitions, build, net, states, train
from crossmix.journeys.table import Table
from crossmix.journeys.windows import Windows

EXPECTILE, BETA, MOST = 0.7, 3.0, 100.0


def fit(table: Table, train_windows: Windows, validation: Windows, seed: int) -> Fitted:
    """Train V, Q and the policy together."""
    size, channels = table.layout.size, table.channels
    nets = build(
        lambda: nn.ModuleDict({"q": net(size, channels), "v": net(size, 1), "policy": net(size, channels)}), seed
    )
    q, v, policy = nets["q"], nets["v"], nets["policy"]  # type: ignore[index]

    def loss(batch: Transitions, target: nn.Module) -> Tensor:
        with torch.no_grad():
            known_B = batch.of_action(target["q"](batch.state_BF))  # type: ignore[index]
            goal_B = batch.reward_B + DISCOUNT * batch.goes_on_B * v(batch.next_BF)[:, 0]
        value_B = v(batch.state_BF)[:, 0]
        lead_B = known_B - value_B
        expectile = (torch.where(lead_B > 0, EXPECTILE, 1 - EXPECTILE) * lead_B**2).mean()
        error = functional.mse_loss(batch.of_action(q(batch.state_BF)), goal_B)
        weight_B = torch.exp(BETA * lead_B.detach()).clamp(max=MOST)
        log_B = batch.of_action(policy(batch.state_BF).log_softmax(1))
        whole: Tensor = expectile + error - (weight_B * log_B).mean()
        return whole

    train(nets, table, train_windows, seed, loss)

    def answer(windows: Windows) -> Answers:
        with torch.no_grad():
            state_SF = states(table, windows)
            log_SC, value_S = policy(state_SF).double().log_softmax(1), v(state_SF)[:, 0]
        return of_logs(log_SC.numpy(), value_S.double().numpy())

    return answer
