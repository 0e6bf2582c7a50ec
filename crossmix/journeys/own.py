"""What a user's own clicks say of every channel: a user effect and the user's liking of a channel, both random.

Fitted is the law of training users' clicks (`law`). The answer is the posterior mean of p given the user's exposures
and clicks on each channel, as log-odds. It shrinks own click share by as much as users differ, knows which channels a
user was shown, and leans on the user's own clicks on a channel as far as likings differ. The response model learns
what lies beyond it (`response`).

It sees what a window holds: exposures and clicks by channel of its steps, and of the exposures before it, where steps
have running summaries, how many there were on each channel and how many clicks on all of them together.

How far an answer moves is told too (`moves`): its derivatives along the law's independent unit moves, the sum of whose
squares is the variance that not knowing the law gives it (delta method), and last what not knowing on which channels
the clicks before the window were gives it:

    v x / (1 + x),  x = v m p (1 - p)

with v the variance of the liking's log-odds given the window and m the exposures on the channel before it: by so much m
more exposures are expected to lower v (normal approximation).

Shapes: B windows, T steps, F features, C channels, U users, S judged steps, I and J grid points of z_u and of z_uc, P
numbers of the law, as many as its unit moves, M moves: these and one.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from crossmix.journeys import law as laws
from crossmix.journeys.layout import Layout
from crossmix.journeys.log import Events, Flags, Floats, Ints
from crossmix.journeys.table import Table
from crossmix.journeys.windows import Scaler

MOST_USERS = 20_000
"""Whose journeys tell the law: two dozen numbers."""
EDGE = 1e-30
"""Least chance whose logarithm is taken, above 0 in single precision."""
PASS = 2_048


class Own(nn.Module):
    """The fitted effects; from scaled steps to log-odds of a click on every channel."""

    theta_P: Tensor
    click_CIJ: Tensor
    not_CIJ: Tensor
    user_I: Tensor
    moved_CIJ2P: Tensor
    user_IP: Tensor
    liking_J: Tensor
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
        self.register_buffer("mean_2", mean)
        self.register_buffer("deviation_2", deviation)
        self.register_buffer("liking_J", laws.log_liking().float())
        size = laws.size(self.channels)
        self.take(laws.begin(self.channels), torch.zeros((size, size), dtype=torch.float64))

    def take(self, theta_P: Tensor, root_PP: Tensor) -> None:
        """Answer by this law, with these unit moves."""
        click_CIJ, not_CIJ, user_I = laws.grids(theta_P)
        by_theta = torch.func.jacfwd(laws.grids)(theta_P)
        click_CIJP, not_CIJP, user_IP = (one @ root_PP for one in by_theta)
        for name, one in (
            ("theta_P", theta_P), ("click_CIJ", click_CIJ), ("not_CIJ", not_CIJ), ("user_I", user_I),
            ("moved_CIJ2P", torch.cat([click_CIJP, not_CIJP], -1)), ("user_IP", user_IP),
        ):  # fmt: skip
            self.register_buffer(name, one.detach().float().contiguous())

    @property
    def size(self) -> int:
        """M."""
        return self.user_IP.shape[1] + 1

    @property
    def spreads(self) -> tuple[float, float]:
        """s and t of the law."""
        return float(self.theta_P[-5].exp()), float(self.theta_P[-4].exp())

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
        return self._mean(*self.counts(feature_BTF, real_BT))[0]

    def moves(self, feature_BTF: Tensor, real_BT: Tensor) -> tuple[Tensor, Tensor]:
        """The same, and how far each move moves it, (B, C, M)."""
        clicks_BC, shown_BC, earlier_B, before_BC = self.counts(feature_BTF, real_BT)
        said_BC, within_BCIJ, user_BI, (before_BI, rest_BI) = self._mean(clicks_BC, shown_BC, earlier_B, before_BC)
        P, chance_CIJ = self.user_IP.shape[1], self.click_CIJ.exp()
        # Posterior means over likings, given z_u, of derivatives of the logs, and of those times the chance.
        pair_CI2BJ = torch.stack([within_BCIJ, within_BCIJ * chance_CIJ]).permute(2, 3, 0, 1, 4)
        mean_CI2B2P = pair_CI2BJ @ self.moved_CIJ2P[:, :, None]
        click_CI2BP, not_CI2BP = mean_CI2B2P[..., :P], mean_CI2B2P[..., P:]
        k_CB1, n_CB1 = clicks_BC.T[:, None, None, :, None], shown_BC.T[:, None, None, :, None]
        score_CI2BP = k_CB1 * click_CI2BP + (n_CB1 - k_CB1) * not_CI2BP
        chance_CIB1 = (within_BCIJ * chance_CIJ).sum(-1).permute(1, 2, 0)[..., None]
        given_CIBP = click_CI2BP[:, :, 1] + score_CI2BP[:, :, 1] - chance_CIB1 * score_CI2BP[:, :, 0]
        # Of the clicks before the window.
        liking_J1 = self.liking_J.exp()[:, None]
        rate_CIP = (chance_CIJ[..., None] * self.moved_CIJ2P[..., :P] * liking_J1).sum(2)
        total_B = before_BC.sum(1)
        rate_BIP = (before_BC @ rate_CIP.flatten(1)).reshape(-1, *rate_CIP.shape[1:])
        rate_BIP = rate_BIP / total_B.clamp(min=1.0)[:, None, None]
        pull_BI = earlier_B[:, None] / before_BI - (total_B - earlier_B)[:, None] / rest_BI
        user_IBP = score_CI2BP[:, :, 0].sum(0) + self.user_IP[:, None] + (pull_BI[..., None] * rate_BIP).transpose(0, 1)
        weight_IB1 = user_BI.T[..., None]
        user_IBP = user_IBP - (weight_IB1 * user_IBP).sum(0)
        moved_CBP = (weight_IB1 * (given_CIBP + chance_CIB1 * user_IBP)).sum(1)
        curve_BC = torch.sigmoid(said_BC) * torch.sigmoid(-said_BC)
        odds_CIJ = self.click_CIJ - self.not_CIJ
        middle_BCI1 = (within_BCIJ * odds_CIJ).sum(-1, keepdim=True)
        liked_BCI = (within_BCIJ * (odds_CIJ - middle_BCI1) ** 2).sum(-1)
        liked_BC = (user_BI[:, None] * liked_BCI).sum(-1)
        told_BC = liked_BC * before_BC * curve_BC
        unseen_BC = torch.sqrt(liked_BC * told_BC / (1 + told_BC))
        return said_BC, torch.cat([moved_CBP.transpose(0, 1) / curve_BC[..., None], unseen_BC[..., None]], -1)

    def _mean(
        self, clicks_BC: Tensor, shown_BC: Tensor, earlier_B: Tensor, before_BC: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, tuple[Tensor, Tensor]]:
        """The answer; weights of likings given z_u, (B, C, I, J), of z_u, (B, I); chances of a click and of none before
        the window, (B, I) each.
        """
        k_BC11, n_BC11 = clicks_BC[..., None, None], shown_BC[..., None, None]
        like_BCIJ = k_BC11 * self.click_CIJ + (n_BC11 - k_BC11) * self.not_CIJ + self.liking_J
        total_B = before_BC.sum(1)
        # Which of the channels were clicked before the window is not known: a binomial of their mean.
        share_BC = torch.where(total_B[:, None] > 0, before_BC / total_B.clamp(min=1.0)[:, None], 1 / self.channels)
        rate_CI, rest_CI = ((one.exp() * self.liking_J.exp()).sum(-1) for one in (self.click_CIJ, self.not_CIJ))
        before_BI, rest_BI = ((share_BC @ one_CI).clamp(min=EDGE) for one_CI in (rate_CI, rest_CI))
        log_BI = torch.logsumexp(like_BCIJ, -1).sum(1) + self.user_I
        log_BI = log_BI + earlier_B[:, None] * before_BI.log() + (total_B - earlier_B)[:, None] * rest_BI.log()
        within_BCIJ, user_BI = torch.softmax(like_BCIJ, -1), torch.softmax(log_BI, -1)
        p_BC, rest_BC = (
            (user_BI[:, None] * (within_BCIJ * one_CIJ.exp()).sum(-1)).sum(-1).clamp(min=EDGE)
            for one_CIJ in (self.click_CIJ, self.not_CIJ)
        )
        return p_BC.log() - rest_BC.log(), within_BCIJ, user_BI, (before_BI, rest_BI)


def fit(events: Events, of_U: Flags, layout: Layout, scaler: Scaler, window: int) -> Own:
    """By the law of these users, at most `MOST_USERS` of them, evenly spread.

    Of each the last exposures count that a question can hold: a window's, and those that its first step sums up. So
    the law is fitted where it is asked, and nobody weighs more than a question's length, a machine that clicks on all
    day included.
    """
    C, users = len(events.channels), len(events.users)
    user = np.flatnonzero(of_U & np.isin(np.arange(users), events.user_R))
    user = user[np.linspace(0, len(user) - 1, min(len(user), MOST_USERS)).astype(int)] if len(user) else user
    held = window + (layout.memory - 1 if layout.summaries else 0)
    end_U = np.searchsorted(events.user_R, np.arange(users), side="right")
    last_R = end_U[events.user_R] - np.arange(len(events)) <= held
    code_R = events.user_R * C + events.channel_R
    shown_UC, clicks_UC = (
        np.bincount(code_R, weight_R, users * C).reshape(users, C)[user]
        for weight_R in (last_R, last_R & events.clicked_R)
    )
    own = Own(layout, scaler)
    own.take(*laws.likeliest(shown_UC.astype(float), clicks_UC.astype(float)))
    return own


def after(own: Own, table: Table, row_S: Ints, window: int) -> Floats:
    """Log-odds after each of these steps, from the window that ends there, (S, C): what is said when it is asked."""
    return _after(own, table, row_S, window, moves=False)[0]


def moves(own: Own, table: Table, row_S: Ints, window: int) -> Floats:
    """How far each move moves them, (S, C, M)."""
    return _after(own, table, row_S, window, moves=True)[1]


@torch.no_grad()
def _after(own: Own, table: Table, row_S: Ints, window: int, *, moves: bool) -> tuple[Floats, Floats]:
    first_R, said, moved = table.events.first_R, [], []
    for begin in range(0, max(len(row_S), 1), PASS):
        row_B = row_S[begin : begin + PASS]
        place_BT = np.maximum(first_R[row_B], row_B - window + 1)[:, None] + np.arange(window)
        real_BT = place_BT <= row_B[:, None]
        asked = table.feature_RF[torch.from_numpy(np.where(real_BT, place_BT, -1))], torch.from_numpy(real_BT)
        said_BC, moved_BCM = own.moves(*asked) if moves else (own(*asked), torch.zeros(0))
        said.append(said_BC.double().numpy())
        moved.append(moved_BCM.double().numpy())
    return np.concatenate(said), np.concatenate(moved)
