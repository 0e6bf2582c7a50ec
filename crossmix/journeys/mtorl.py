"""MTORL (Liu et al., KDD 2025), eq. 3 to 16 and appendix A, downward.

Eq. 4 puts a_{t-1}, r_{t-1} and s_t together to predict a_t. Our step t-1 holds exposure t-1 whole, which is a_{t-1} and
r_{t-1}, and the summaries known then, which are s_t; from it a_t, the channel of exposure t, is predicted. Biases are
shared by all steps, where the paper has a column per step: a window's place in a journey means nothing.
What the authors' code does otherwise than their paper stands in docs/deviations.md.

Shapes: B windows, T steps, F features, H width, C channels, K classes of gains.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from crossmix.journeys.settings import Mtorl as Settings
from crossmix.journeys.settings import RewardKind
from crossmix.journeys.table import Batch

GAINS = ("nothing", "click", "conversion")
"""Classes of an `incompatible` reward; the last that applies."""


class CausalStates(nn.Module):
    """x = W_e features (eq. 4), then the causal states S~ (eq. 5, 6)."""

    def __init__(self, features: int, width: int, dropout: float, settings: Settings) -> None:
        super().__init__()
        self.embedding = nn.Linear(features, width)
        layers = range(settings.tcn_layers if settings.use_tcn else 0)
        self.layers = nn.ModuleList(DilatedCausalConv(width, settings.kernel, 2**layer, dropout) for layer in layers)
        self.linear = nn.Linear(width, width) if settings.use_tcn else None

    def forward(self, feature_BTF: Tensor) -> Tensor:
        hidden_BTH: Tensor = self.embedding(feature_BTF)
        for layer in self.layers:
            hidden_BTH = layer(hidden_BTH)
        if self.linear is None:
            return hidden_BTH
        return functional.leaky_relu(self.linear(hidden_BTH))


class DilatedCausalConv(nn.Module):
    """h_t = sum_i f(i) h_{t - d i} (eq. 5), with dropout, residual connection and layer normalisation."""

    def __init__(self, width: int, kernel: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.past = (kernel - 1) * dilation
        self.filter = nn.Conv1d(width, width, kernel, dilation=dilation)
        self.dropout = nn.Dropout(dropout)
        self.norm = nn.LayerNorm(width)

    def forward(self, hidden_BTH: Tensor) -> Tensor:
        padded_BHT = functional.pad(hidden_BTH.transpose(1, 2), (self.past, 0))
        filtered_BTH = torch.relu(self.filter(padded_BHT)).transpose(1, 2)
        normed: Tensor = self.norm(hidden_BTH + self.dropout(filtered_BTH))
        return normed


class CausalAttention(nn.Module):
    """A = softmax(Q K^T / sqrt(H) + causal mask) V (eq. 7)."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(width, width, bias=False) for _ in range(3))
        self.dropout = nn.Dropout(dropout)

    def forward(self, state_BTH: Tensor) -> Tensor:
        steps = state_BTH.shape[1]
        score_BTT = self.query(state_BTH) @ self.key(state_BTH).transpose(1, 2) / math.sqrt(state_BTH.shape[2])
        later_TT = torch.ones(steps, steps, dtype=torch.bool, device=state_BTH.device).triu(1)
        weight_BTT = self.dropout(score_BTT.masked_fill(later_TT, -math.inf).softmax(-1))
        attended: Tensor = weight_BTT @ self.value(state_BTH)
        return attended


class AddNorm(nn.Module):
    """S = LeakyReLU(W_M M + B_M), M <- LayerNorm(M + Dropout(S)) (eq. 8)."""

    def __init__(self, width: int, dropout: float, *, norm: bool) -> None:
        super().__init__()
        self.linear = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)
        self.norm = nn.LayerNorm(width) if norm else None

    def forward(self, hidden_BTH: Tensor) -> Tensor:
        new_BTH: Tensor = self.dropout(functional.leaky_relu(self.linear(hidden_BTH)))
        return new_BTH if self.norm is None else self.norm(hidden_BTH + new_BTH)


class MtorlEncoder(nn.Module):
    """Steps to hidden states, eq. 4 to 8; padding comes last, so that no real step sees it."""

    def __init__(self, features: int, width: int, dropout: float, settings: Settings) -> None:
        super().__init__()
        self.width = width
        self.states = CausalStates(features, width, dropout, settings)
        self.attention = CausalAttention(width, dropout) if settings.use_attention else None
        layers = range(settings.norm_layers)
        self.layers = nn.ModuleList(AddNorm(width, dropout, norm=settings.use_norm) for _ in layers)

    def both(self, feature_BTF: Tensor) -> tuple[Tensor, Tensor]:
        """Causal states S~ and M^(L2)."""
        state_BTH = self.states(feature_BTF)
        hidden_BTH = state_BTH if self.attention is None else self.attention(state_BTH)
        for layer in self.layers:
            hidden_BTH = layer(hidden_BTH)
        return state_BTH, hidden_BTH

    def forward(self, feature_BTF: Tensor, real_BT: Tensor) -> Tensor:
        """M^(L2), 0 where there is no step."""
        return self.both(feature_BTF)[1] * real_BT[..., None]


class Mtorl(nn.Module):
    """Encoder, action decoder (eq. 9) and reward decoder (eq. 12), trained together (eq. 16)."""

    def __init__(self, features: int, channels: int, width: int, dropout: float, settings: Settings) -> None:
        super().__init__()
        self.settings, self.channels = settings, channels
        self.encoder = MtorlEncoder(features, width, dropout, settings)
        self.action = nn.Linear(width, channels)
        size = width + (channels if settings.reward_sees_action else 0)
        reward: list[nn.Module] = []
        for _ in range(settings.reward_layers):
            reward += [nn.Linear(size, width), nn.LeakyReLU()]
            size = width
        classes = len(GAINS) if settings.reward_kind == "incompatible" else 1
        self.reward = nn.Sequential(*reward, nn.Linear(width, classes))

    def forward(self, feature_BTF: Tensor, action_BT: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """log y^ of eq. 9, (B, T, C), and the argument of f in eq. 12, (B, T, K).

        Args:
            feature_BTF: steps.
            action_BT: channel of the coming exposure, where the reward head sees it.
        """
        state_BTH, hidden_BTH = self.encoder.both(feature_BTF)
        if self.settings.reward_sees_action:
            assert action_BT is not None
            state_BTH = torch.cat([state_BTH, functional.one_hot(action_BT, self.channels).float()], -1)
        return self.action(hidden_BTH).log_softmax(-1), self.reward(state_BTH)

    def loss(self, batch: Batch, generator: torch.Generator | None = None) -> Tensor:
        """L = L_policy + mu L_reward + lambda L_DPO (eq. 16), means over the judged steps."""
        log_policy_BTC, logit_BTK = self(batch.feature_BTF, batch.next_channel_BT)
        loss = policy_loss(log_policy_BTC, batch) + self.settings.mu * reward_loss(
            self.settings.reward_kind, logit_BTK, gain(self.settings, batch), batch.scored_BT
        )
        if self.settings.dpo > 0:
            loss = loss + self.settings.dpo * dpo_loss(log_policy_BTC, batch, self.settings.beta, generator)
        return loss

    def validation(self, batch: Batch) -> Tensor:
        """Both decoders' losses without weights: what decides when training ends."""
        log_policy_BTC, logit_BTK = self(batch.feature_BTF, batch.next_channel_BT)
        return policy_loss(log_policy_BTC, batch) + reward_loss(
            self.settings.reward_kind, logit_BTK, gain(self.settings, batch), batch.scored_BT
        )

    @torch.no_grad()
    def predict(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """log y^ (B, T, C) and the predicted reward (B, T): of several gains, the chance of any."""
        log_policy_BTC, logit_BTK = self(batch.feature_BTF, batch.next_channel_BT)
        return log_policy_BTC, predicted(self.settings.reward_kind, logit_BTK)


def gain(settings: Settings, batch: Batch) -> Tensor:
    """r_t of eq. 3 and 18 from the gains of the coming exposure: (B, T), or classes where gains are incompatible.

    Min-max normalisation needs no fit: clicks are 0 or 1, a conversion adds `conversion_weight`, and what lies below
    -`penalty` (a price above 1 currency unit) is taken as that.
    """
    clicked, converted, cost = batch.next_gain_BTG.unbind(-1)
    if settings.reward_kind == "binary":
        return clicked
    if settings.reward_kind == "incompatible":
        return torch.where(converted > 0, 2, clicked.long())
    fused = clicked + settings.conversion_weight * converted
    highest = 1 + settings.conversion_weight
    if settings.reward_kind == "compatible":
        return fused / highest
    lowest = -settings.penalty
    return ((fused - settings.penalty * cost).clamp(min=lowest) - lowest) / (highest - lowest)


def policy_loss(log_policy_BTC: Tensor, batch: Batch) -> Tensor:
    """-mean log y^ of the channel that came (eq. 13)."""
    return -_mean(_chosen(log_policy_BTC, batch), batch.scored_BT)


def reward_loss(kind: RewardKind, logit_BTK: Tensor, gain_BT: Tensor, scored_BT: Tensor) -> Tensor:
    """Cross-entropy of a binary reward (eq. 14 and 20, whose second term reads (1 - r) log(1 - r^)), squared error of a
    continuous one (eq. 19), cross-entropy over classes (eq. 21)."""
    if kind == "incompatible":
        error_BT = functional.cross_entropy(logit_BTK.transpose(1, 2), gain_BT, reduction="none")
    elif kind == "binary":
        error_BT = functional.binary_cross_entropy_with_logits(logit_BTK[..., 0], gain_BT, reduction="none")
    else:
        error_BT = (torch.sigmoid(logit_BTK[..., 0]) - gain_BT) ** 2
    return _mean(error_BT, scored_BT)


def predicted(kind: RewardKind, logit_BTK: Tensor) -> Tensor:
    """r^ = f(.) of eq. 12 and appendix A.2, (B, T)."""
    if kind == "incompatible":
        return 1 - logit_BTK.softmax(-1)[..., 0]
    return torch.sigmoid(logit_BTK[..., 0])


def dpo_loss(log_policy_BTC: Tensor, batch: Batch, beta: float, generator: torch.Generator | None = None) -> Tensor:
    """-mean log sigmoid(beta log pi(a^w | x^w) - beta log pi(a^l | x^l)) (eq. 15).

    Each window is paired with another one of the batch; the one with more clicks wins, and equal ones are no pair.
    """
    windows = len(log_policy_BTC)
    other_B = torch.randperm(windows, generator=generator).to(log_policy_BTC.device)
    total_B = (batch.next_click_BT * batch.scored_BT).sum(1)
    wins_B = total_B > total_B[other_B]
    chosen_BT = _chosen(log_policy_BTC, batch)
    margin_BT = beta * (chosen_BT - chosen_BT[other_B])
    pair_BT = batch.scored_BT & batch.scored_BT[other_B] & wins_B[:, None]
    return -_mean(functional.logsigmoid(margin_BT), pair_BT)


def _chosen(log_policy_BTC: Tensor, batch: Batch) -> Tensor:
    return log_policy_BTC.gather(2, batch.next_channel_BT[..., None])[..., 0]


def _mean(value_BT: Tensor, mask_BT: Tensor) -> Tensor:
    """Over what the mask shows; 0 where it shows nothing."""
    return torch.where(mask_BT, value_BT, 0.0).sum() / mask_BT.sum().clamp(min=1)
