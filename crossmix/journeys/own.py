"""What a user's own clicks say of every channel: a user effect and the user's liking of a channel, both random.

    logit p(click | u, c) = a_c + s z_u + t z_uc;    z_u, z_uc ~ N(0, 1)

A generalised linear mixed model (Breslow, Clayton, JASA 88, 1993): a_c, s and t by the largest marginal likelihood of
training users' journeys, the integrals on a grid. Its answer is the posterior mean of p given the user's exposures and
clicks on each channel, as log-odds. It shrinks own click share by as much as users differ, knows which channels a
user was shown, and leans on the user's own clicks on a channel as far as likings differ. The response model learns
what lies beyond it (`response`).

It sees what a window holds: exposures and clicks by channel of its steps, and of the exposures before it, where steps
have running summaries, how many there were on each channel and how many clicks on all of them together.

Shapes: B windows, T steps, F features, C channels, U users, S judged steps, I and J grid points of z_u and of z_uc.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from crossmix.journeys.layout import Layout
from crossmix.journeys.log import Events, Flags, Floats, Ints
from crossmix.journeys.table import Table
from crossmix.journeys.windows import Scaler

USER, LIKING = np.linspace(-3.0, 3.0, 13), np.linspace(-2.4, 2.4, 5)
"""Grids of z_u and z_uc; likings are told by few exposures, so that few points hold them."""
SPREADS = (0.5, 0.3)
"""Where s and t begin; the log of each has a normal prior around that, of deviation 1."""
MOST_USERS = 3_000
"""Whose journeys tell a_c, s and t: a dozen numbers."""
STEPS = 20
EDGE = 1e-6
PASS = 4_096


class Own(nn.Module):
    """The fitted effects; from scaled steps to log-odds of a click on every channel."""

    base_C: Tensor
    spread_2: Tensor
    mean_2: Tensor
    deviation_2: Tensor

    def __init__(self, layout: Layout, scaler: Scaler | None = None) -> None:
        super().__init__()
        self.channels, self.summaries = len(layout.channels), layout.summaries
        self.clicked = layout.index("clicked")
        names = ("click_share", "log_steps") if layout.summaries else ()
        self.at = [layout.index(name) for name in names]
        self.share = layout.index(f"share={layout.channels[0]}") if layout.summaries else 0
        mean, deviation = torch.zeros(2), torch.ones(2)
        if scaler is not None and names:
            mean = torch.tensor(scaler.mean_F[self.at], dtype=torch.float32)
            moved = scaler.deviation_F[self.at]
            deviation = torch.tensor(np.where(np.isfinite(moved), moved, 0.0), dtype=torch.float32)
        self.register_buffer("base_C", torch.zeros(self.channels))
        self.register_buffer("spread_2", torch.tensor(SPREADS))
        self.register_buffer("mean_2", mean)
        self.register_buffer("deviation_2", deviation)

    def counts(self, feature_BTF: Tensor, real_BT: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Clicks and exposures in the window, (B, C) each; clicks before it, (B,), and exposures, (B, C)."""
        real_BT = real_BT.to(feature_BTF.dtype)
        shown_BTC = feature_BTF[..., : self.channels] * real_BT[..., None]
        clicks_BTC = shown_BTC * feature_BTF[..., self.clicked : self.clicked + 1]
        shown_BC, clicks_BC = shown_BTC.sum(1), clicks_BTC.sum(1)
        if not self.summaries:
            return clicks_BC, shown_BC, torch.zeros_like(clicks_BC[:, 0]), torch.zeros_like(clicks_BC)
        first_BF, real_B = feature_BTF[:, 0], real_BT[:, 0]
        share_B, log_B = (first_BF[:, at] * self.deviation_2[k] + self.mean_2[k] for k, at in enumerate(self.at))
        steps_B = torch.round(log_B.exp() - 1)
        before_BC = torch.round(first_BF[:, self.share : self.share + self.channels] * steps_B[:, None])
        before_BC = (before_BC - shown_BTC[:, 0]).clamp(min=0.0) * real_B[:, None]
        earlier_B = (torch.round(share_B * steps_B) - clicks_BTC[:, 0].sum(-1)).clamp(min=0.0) * real_B
        return clicks_BC, shown_BC, torch.minimum(earlier_B, before_BC.sum(1)), before_BC

    def forward(self, feature_BTF: Tensor, real_BT: Tensor) -> Tensor:
        """Log-odds of the posterior means after the last step of each window, (B, C)."""
        clicks_BC, shown_BC, earlier_B, before_BC = self.counts(feature_BTF, real_BT)
        logit_CIJ, like_BCIJ, log_BI = self._posterior(clicks_BC, shown_BC)
        chance_CIJ = torch.sigmoid(logit_CIJ)
        rate_CI = (chance_CIJ * _log_weight(LIKING, chance_CIJ).exp()).sum(-1)
        total_B = before_BC.sum(1)
        # Which of the channels were clicked before the window is not known: a binomial of their mean.
        mean_BI = ((before_BC @ rate_CI) / total_B.clamp(min=1.0)[:, None]).clamp(EDGE, 1 - EDGE)
        log_BI = log_BI + earlier_B[:, None] * mean_BI.log() + (total_B - earlier_B)[:, None] * (1 - mean_BI).log()
        within_BCI = (torch.softmax(like_BCIJ, -1) * chance_CIJ).sum(-1)
        mean_BC = (torch.softmax(log_BI, -1)[:, None] * within_BCI).sum(-1).clamp(EDGE, 1 - EDGE)
        return mean_BC.log() - (1 - mean_BC).log()

    def marginal(self, clicks_UC: Tensor, shown_UC: Tensor) -> Tensor:
        """Log-likelihood of users' clicks, (U,), but for a constant."""
        return torch.logsumexp(self._posterior(clicks_UC, shown_UC)[2], -1)

    def _posterior(self, clicks_BC: Tensor, shown_BC: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Log-odds on the grid, (C, I, J); log of likelihood times prior of likings, and of users, without norms."""
        user_I, liking_J = (torch.tensor(one, dtype=self.base_C.dtype) for one in (USER, LIKING))
        logit_CIJ = self.base_C[:, None, None] + self.spread_2[0] * user_I[:, None] + self.spread_2[1] * liking_J
        like_BCIJ = clicks_BC[..., None, None] * logit_CIJ - shown_BC[..., None, None] * functional.softplus(logit_CIJ)
        like_BCIJ = like_BCIJ + _log_weight(LIKING, self.base_C)
        return logit_CIJ, like_BCIJ, torch.logsumexp(like_BCIJ, -1).sum(1) + _log_weight(USER, self.base_C)


def _log_weight(grid: Floats, like: Tensor) -> Tensor:
    log = -0.5 * grid**2
    return torch.tensor(log - np.log(np.exp(log).sum()), dtype=like.dtype)


def fit(events: Events, of_U: Flags, layout: Layout, scaler: Scaler) -> Own:
    """The effects of these users, at most `MOST_USERS` of them, evenly spread.

    The log-odds of channels are drawn to their mean by N(0, 1), so that one never shown or never clicked has a value.
    """
    C, users = len(events.channels), len(events.users)
    user = np.flatnonzero(of_U & np.isin(np.arange(users), events.user_R))
    user = user[np.linspace(0, len(user) - 1, min(len(user), MOST_USERS)).astype(int)] if len(user) else user
    code_R = events.user_R * C + events.channel_R
    shown_UC, clicks_UC = (
        torch.from_numpy(np.bincount(code_R, weight_R, users * C).reshape(users, C)[user])
        for weight_R in (np.ones(len(events)), events.clicked_R.astype(float))
    )
    own = Own(layout, scaler)
    rate = float((clicks_UC.sum() + 0.5) / (shown_UC.sum() + 1))
    begin = [math.log(rate / (1 - rate)), *np.zeros(C), *np.log(SPREADS)]
    theta = torch.tensor(begin, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([theta], max_iter=STEPS, line_search_fn="strong_wolfe")
    center = torch.log(torch.tensor(SPREADS, dtype=torch.float64))

    def loss() -> Tensor:
        optimiser.zero_grad()
        own.base_C, own.spread_2 = theta[0] + theta[1:-2], theta[-2:].exp()
        prior = 0.5 * theta[1:-2].square().sum() + 0.5 * (theta[-2:] - center).square().sum()
        total: Tensor = prior - own.marginal(clicks_UC, shown_UC).sum()
        total.backward()  # type: ignore[no-untyped-call]
        return total.detach()

    optimiser.step(loss)  # type: ignore[no-untyped-call]
    found = theta.detach()
    own.base_C, own.spread_2 = (found[0] + found[1:-2]).float(), found[-2:].exp().float()
    return own


@torch.no_grad()
def after(own: Own, table: Table, row_S: Ints, window: int) -> Floats:
    """Log-odds after each of these steps, from the window that ends there, (S, C): what is said when it is asked."""
    first_R, parts = table.events.first_R, [np.zeros((0, table.channels))]
    for begin in range(0, len(row_S), PASS):
        row_B = row_S[begin : begin + PASS]
        place_BT = np.maximum(first_R[row_B], row_B - window + 1)[:, None] + np.arange(window)
        real_BT = place_BT <= row_B[:, None]
        feature_BTF = table.feature_RF[torch.from_numpy(np.where(real_BT, place_BT, -1))]
        parts.append(own(feature_BTF, torch.from_numpy(real_BT)).double().numpy())
    return np.concatenate(parts)
