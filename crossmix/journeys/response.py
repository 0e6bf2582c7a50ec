"""Who clicks and who buys on which channel: p(click | journey, channel) and p(conversion | journey, channel).

The action enters the head, unlike MTORL's reward head, which is blind to it and so cannot choose a channel (eq. 12):

    h = encoder(steps);    phi = (tanh(W h + b), 1)
    logit p(click | c) = phi . (w + v_c);    logit p(conversion | click, c) = phi . (w' + v'_c)
    p(conversion | c) = p(click | c) p(conversion | click, c) + (1 - p(click | c)) p(conversion | no click, c)

The last factor is a rate per channel: some logs have conversions of exposures that nobody clicked.

All channels come from one pass. The network learns by cross-entropy at the channel that the log took; then its last
layer is fitted anew with its uncertainty and calibrated on validation users (`head`). A journey without a step is
answered by the rates of first exposures, of the same kind. Right only where the log's channel does not follow from what
the journey leaves out (no unseen confounder): a log without propensities cannot show that.

Shapes: U users, B windows, T steps, F features, H width, D features of the head with the constant, C channels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from crossmix.journeys import head as heads
from crossmix.journeys.answer import Answer
from crossmix.journeys.encoder import make
from crossmix.journeys.head import Head
from crossmix.journeys.layout import Layout
from crossmix.journeys.learn import Curve, train
from crossmix.journeys.log import Events, Floats, Ints, JourneyError, uniform
from crossmix.journeys.settings import Journeys
from crossmix.journeys.table import Batch, Table
from crossmix.journeys.windows import Scaler, Windows, tail

DEPTH = 16
"""Features of the head, without the constant: few, so that its uncertainty can be held as one matrix per channel."""
HEADS = ("click", "conversion")
PASS = 2_048
"""Windows in one pass."""


class Net(nn.Module):
    """Encoder and heads while they are learned."""

    def __init__(self, features: int, channels: int, settings: Journeys, rates: tuple[float, float]) -> None:
        super().__init__()
        self.encoder = make(features, settings)
        self.reader = nn.Linear(settings.learning.width, DEPTH)
        self.shared = nn.Linear(DEPTH, len(HEADS))
        self.own = nn.Parameter(torch.zeros(channels, len(HEADS), DEPTH + 1))
        with torch.no_grad():
            self.shared.bias.copy_(torch.logit(torch.tensor(rates), eps=1e-4))

    def phi(self, feature_BTF: Tensor, real_BT: Tensor) -> Tensor:
        """What the heads see, (B, T, D)."""
        read_BTD = torch.tanh(self.reader(self.encoder(feature_BTF, real_BT)))
        return torch.cat([read_BTD, torch.ones_like(read_BTD[..., :1])], -1)

    def loss(self, batch: Batch, generator: torch.Generator | None = None) -> Tensor:
        """Cross-entropy of click, and of conversion where one clicked, at the log's channel; mean over judged steps."""
        phi_BTD = self.phi(batch.feature_BTF, batch.real_BT)
        own_BTXD = self.own[batch.next_channel_BT]
        logit_BTX = self.shared(phi_BTD[..., :-1]) + (own_BTXD * phi_BTD[..., None, :]).sum(-1)
        loss_BTX = functional.binary_cross_entropy_with_logits(
            logit_BTX, batch.next_gain_BTG[..., : len(HEADS)], reduction="none"
        )
        loss_BT = loss_BTX[..., 0] + batch.next_click_BT * loss_BTX[..., 1]
        return (loss_BT * batch.scored_BT).sum() / batch.scored_BT.sum().clamp(min=1)

    def validation(self, batch: Batch) -> Tensor:
        """The same."""
        return self.loss(batch)


@dataclass(frozen=True, slots=True)
class Response:
    """A fitted response model."""

    net: Net
    layout: Layout
    scaler: Scaler
    window: int
    heads: tuple[Head, Head]
    """Of a click, and of a conversion given one; of D features."""
    prior: tuple[Head, Head]
    """The same without a journey, of the constant alone."""
    otherwise_C: Floats
    """p(conversion | no click)."""

    def phi(self, events: Events) -> tuple[Ints, Floats]:
        """Codes of the users that have a step, and what the heads see of each, (., D)."""
        windows = tail(events, self.window)
        feature_RF = self.scaler(self.layout.features(events))
        padded_RF = torch.from_numpy(np.concatenate([feature_RF, np.zeros((1, self.layout.size))]).astype(np.float32))
        parts, net = [np.zeros((0, DEPTH + 1))], self.net.eval()
        with torch.no_grad():
            for first in range(0, len(windows), PASS):
                row_BT = torch.from_numpy(windows.row_NT[first : first + PASS])
                phi_BTD = net.phi(padded_RF[row_BT], row_BT >= 0)
                last_B = (row_BT >= 0).sum(1) - 1
                parts.append(phi_BTD[torch.arange(len(last_B)), last_B].double().numpy())
        return np.unique(events.user_R), np.concatenate(parts)

    def answer(self, events: Events) -> Answer:
        """Of every user of the events, as after the last of its exposures; without any: the prior."""
        user, phi_KD = self.phi(events)
        shape = (len(events.users), len(self.layout.channels))
        columns = []
        for empty, full in zip(self._said(self.prior, np.ones((1, 1))), self._said(self.heads, phi_KD), strict=True):
            column_UC = np.broadcast_to(empty, shape).copy()
            column_UC[user] = full
            columns.append(column_UC)
        return Answer(*columns)

    def _said(self, pair: tuple[Head, Head], phi_KD: Floats) -> tuple[Floats, ...]:
        click, given = ((head.logit(phi_KD), head.deviation(phi_KD)) for head in pair)
        return *pair[0].answer(phi_KD), *heads.conversions(click, given, self.otherwise_C)


def fit(
    table: Table,
    scaler: Scaler,
    learn: Windows,
    validate: Windows,
    settings: Journeys,
    *,
    work: Path | None = None,
    tell: Callable[[int, float, float], None] | None = None,
) -> tuple[Response, Curve]:
    """Train on some users, stop and calibrate by others; with how the training of the network on all went.

    Args:
        table: steps with features scaled by `scaler`.
        learn, validate: windows of training and of validation users.
        work: folder of checkpoints: a training that was killed goes on from its last epoch.
        tell: called after each epoch with its number and both losses.

    Raises:
        JourneyError: nothing to learn from, or nobody clicked.
    """
    events = table.events
    if not len(learn.row_S) or not len(validate.row_S):
        raise JourneyError("journeys: training or validation users have no journey of two exposures; pass a longer log")
    if not all(table.next_gain_RG[one.row_S, 0].any() for one in (learn, validate)):
        raise JourneyError(
            "clicked: no training or no validation user clicked after another exposure; pass a longer log"
        )
    net, curve, fitted = _learned(table, learn, validate, settings, settings.learning.seed, work, tell)
    half_N = uniform(events.users, "half ")[events.user_R[learn.row_NT[:, 0]]] < 0.5
    logits = []
    for number, part in enumerate((learn.where(half_N), learn.where(~half_N))):
        folder = None if work is None else work / f"half{number}"
        other, _, others = _learned(table, part, validate, settings, settings.learning.seed + 1 + number, folder, None)
        phi_ND = phi_of(other, table, validate)
        logits.append([one.logit(phi_ND) for one in others])
    phi_ND = phi_of(net, table, validate)
    spread = tuple(heads.apart(fitted[k], phi_ND, logits[0][k], logits[1][k]) for k in range(len(HEADS)))
    first_R = events.first_R == np.arange(len(events))
    owner = [np.isin(events.user_R, np.unique(events.user_R[one.row_S])) for one in (learn, validate)]
    first = np.flatnonzero(first_R & owner[0]), np.flatnonzero(first_R & owner[1])
    prior = _heads(events, (np.ones((len(first[0]), 1)), np.ones((len(first[1]), 1))), first)
    rest_R = owner[0] & ~events.clicked_R
    sold_C, shown_C = (np.bincount(events.channel_R[rest_R & of_R], minlength=table.channels) for of_R in (
        events.converted_R, np.ones(len(events), bool)))  # fmt: skip
    otherwise_C = sold_C / np.maximum(shown_C, 1)
    response = Response(
        net, table.layout, scaler, settings.window, (spread[0], spread[1]), prior, otherwise_C
    )  # fmt: skip
    return response, curve


def _learned(
    table: Table,
    learn: Windows,
    validate: Windows,
    settings: Journeys,
    seed: int,
    work: Path | None,
    tell: Callable[[int, float, float], None] | None,
) -> tuple[Net, Curve, tuple[Head, Head]]:
    """A network and its heads, fitted anew and calibrated."""
    clicked_S, converted_S = table.next_gain_RG[learn.row_S, : len(HEADS)].T
    rates = float(clicked_S.mean()), float(converted_S[clicked_S > 0].mean())
    net, curve = train(
        lambda: Net(table.layout.size, table.channels, settings, rates),
        table, learn, validate, replace(settings.learning, seed=seed), work=work, tell=tell,
    )  # fmt: skip
    assert isinstance(net, Net)
    phi = phi_of(net, table, learn), phi_of(net, table, validate)
    return net, curve, _heads(table.events, phi, (learn.row_S + 1, validate.row_S + 1))


def _heads(events: Events, phi: tuple[Floats, Floats], rows: tuple[Ints, Ints]) -> tuple[Head, Head]:
    """Of clicks, and of conversions where one clicked, at exposures: fitted on the first, calibrated on the second."""

    def one(gain_R: NDArray[np.bool_], which_R: NDArray[np.bool_]) -> Head:
        kept = which_R[rows[0]], which_R[rows[1]]
        row = rows[0][kept[0]], rows[1][kept[1]]
        return heads.chosen(
            (phi[0][kept[0]], phi[1][kept[1]]),
            (events.channel_R[row[0]], events.channel_R[row[1]]),
            (gain_R[row[0]].astype(float), gain_R[row[1]].astype(float)),
            (np.unique(events.user_R[row[0]], return_inverse=True)[1], events.user_R[row[1]]),
            len(events.channels),
        )

    return one(events.clicked_R, np.ones(len(events), bool)), one(events.converted_R, events.clicked_R)


def phi_of(net: Net, table: Table, windows: Windows) -> Floats:
    """What the heads see of every judged step, in the order of `windows.row_S`, (S, D)."""
    net.eval()
    parts = []
    with torch.no_grad():
        for first in range(0, len(windows), PASS):
            batch = table.batch(windows, slice(first, first + PASS))
            parts.append(net.phi(batch.feature_BTF, batch.real_BT)[batch.scored_BT].double().numpy())
    return np.concatenate(parts)
