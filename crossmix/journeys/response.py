"""Who clicks and who buys on which channel: p(click | journey, channel) and p(conversion | journey, channel).

The action enters the head, unlike MTORL's reward head, which is blind to it and so cannot choose a channel (eq. 12):

    h = encoder(steps);    read = (tanh(W h + b), what the last step says of clicks and conversions so far)
    own_c = log-odds of a click on c by the user's own clicks, of a mixed model (`own`), with how far it may be off
    phi_c = (read, own_c, 1);    logit p(click | c) = phi_c . (w + v_c)
    logit p(conversion | click, c) = phi_c . (w' + v'_c)
    p(conversion | c) = p(click | c) p(conversion | click, c) + (1 - p(click | c)) p(conversion | no click, c)

The last factor is a rate per channel: some logs have conversions of exposures that nobody clicked.

own_c is a connection past the encoder: the network learns what lies beyond it, and the layer that is fitted anew on
both says own_c alone where validation users show nothing beyond (`head.chosen`).

All channels come from one pass. The network learns by cross-entropy at the channel that the log took; the epoch that is
kept is the one whose clicks are told best, which is what is judged. Then its last layer is fitted anew with its
uncertainty and calibrated on validation users (`head`). A journey without a step is answered by the rates of first
exposures, of the same kind. Right only where the log's channel does not follow from what the journey leaves out (no
unseen confounder): a log without propensities cannot show that.

Shapes: U users, B windows, T steps, F features, H width, D features of the head with own_c's moves, own_c and the
constant (moves, whose weights are 0, join it once it is learned), C channels, S judged steps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from crossmix.journeys import head as heads
from crossmix.journeys import own as owns
from crossmix.journeys.answer import Answer
from crossmix.journeys.head import Choice, Head
from crossmix.journeys.layout import Layout
from crossmix.journeys.learn import Curve, train
from crossmix.journeys.log import Events, Floats, Ints, JourneyError, uniform
from crossmix.journeys.net import DEPTH, HEADS, KNOWN, Net, read_of, seen
from crossmix.journeys.net import PASS as PASS
from crossmix.journeys.own import Own
from crossmix.journeys.settings import Journeys
from crossmix.journeys.table import Table
from crossmix.journeys.windows import TRAIN, VALIDATION, Scaler, Windows, tail

PRIOR_WEIGHT = 10.0
"""Exposures without a click that the rate of conversions of all channels weighs in a channel's."""


@dataclass(frozen=True, slots=True)
class Response:
    """A fitted response model."""

    net: Net
    own: Own
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
        """Codes of the users that have a step, and what the heads see of each, (., C, D)."""
        windows = tail(events, self.window)
        feature_RF = self.scaler(self.layout.features(events))
        padded_RF = torch.from_numpy(np.concatenate([feature_RF, np.zeros((1, self.layout.size))]).astype(np.float32))
        net = self.net.eval()
        size = self.own.size + DEPTH + len(net.said) + 2
        parts = [np.zeros((0, len(self.layout.channels), size))]
        with torch.no_grad():
            for first in range(0, len(windows), PASS):
                row_BT = torch.from_numpy(windows.row_NT[first : first + PASS])
                feature_BTF, real_BT = padded_RF[row_BT], row_BT >= 0
                read_BTD, last_B = net.read(feature_BTF, real_BT), real_BT.sum(1) - 1
                read_BD = read_BTD[torch.arange(len(last_B)), last_B].double().numpy()
                own = self.own.moves(feature_BTF, real_BT)
                parts.append(seen(read_BD, *(one.double().numpy() for one in own)))
        return np.unique(events.user_R), np.concatenate(parts)

    def answer(self, events: Events) -> Answer:
        """Of every user of the events, as after the last of its exposures; without any: the prior."""
        user, phi_KCD = self.phi(events)
        shape = (len(events.users), len(self.layout.channels))
        columns = []
        prior, said = self._said(self.prior, np.ones((1, 1, 1))), self._said(self.heads, phi_KCD)
        for empty, full in zip(prior, said, strict=True):
            column_UC = np.broadcast_to(empty, shape).copy()
            column_UC[user] = full
            columns.append(column_UC)
        return Answer(*columns)

    def _said(self, pair: tuple[Head, Head], phi_KCD: Floats) -> tuple[Floats, ...]:
        click, given = ((head.logit(phi_KCD), head.deviation(phi_KCD)) for head in pair)
        return *pair[0].answer(phi_KCD), *heads.conversions(click, given, self.otherwise_C)


def fit(
    table: Table,
    scaler: Scaler,
    learn: Windows,
    validate: Windows,
    settings: Journeys,
    *,
    part_U: Ints,
    work: Path | None = None,
    tell: Callable[[int, float, float], None] | None = None,
    label: str = "",
) -> tuple[Response, Curve]:
    """Train on some users, stop and calibrate by others; with how the training of the network on all went.

    Args:
        table: steps with features scaled by `scaler`.
        learn, validate: windows of training and of validation users.
        part_U: of each user; those with a single exposure have no window, and tell what first exposures do.
        work: folder of checkpoints: a training that was killed goes on from its last epoch.
        tell, label: told after each epoch its number and both losses; of progress bars, of all and of each half.

    Raises:
        JourneyError: nothing to learn from, one training user alone, or nobody clicked.
    """
    events = table.events
    if not len(learn.row_S) or not len(validate.row_S):
        raise JourneyError("journeys: training or validation users have no journey of two exposures; pass a longer log")
    if not all(table.next_gain_RG[one.row_S, 0].any() for one in (learn, validate)):
        raise JourneyError(
            "clicked: no training or no validation user clicked after another exposure; pass a longer log"
        )
    draw_U = uniform(events.users, "half ")
    half_N = draw_U[events.user_R[learn.row_NT[:, 0]]] < 0.5
    halves = learn.where(half_N), learn.where(~half_N)
    if not all(len(half.row_S) for half in halves):
        raise JourneyError(
            f"user_id: {len(np.unique(events.user_R[learn.row_S]))} training users with two exposures, too few to part "
            "in halves, which tell how far another sample would differ; pass more users"
        )
    is_learned_U = part_U == TRAIN
    whole = _learned(table, scaler, is_learned_U, learn, validate, settings, settings.learning.seed, work, tell, label)
    logits = []
    for number, half in enumerate(halves):
        folder = None if work is None else work / f"half{number}"
        other = _learned(
            table, scaler, is_learned_U & ((draw_U < 0.5) == (number == 0)), half, validate, settings,
            settings.learning.seed + 1 + number, folder, None, label and f"{label}, half {number + 1}", whole.choices,
        )  # fmt: skip
        logits.append([one.logit(other.phi_NCD) for one in other.heads])
    row_S, channel_S = validate.row_S + 1, table.next_channel(validate.row_S)
    moved_NCM = owns.moves(whole.own, table, validate.row_S, settings.window)
    phi_NCD = np.concatenate([moved_NCM, whole.phi_NCD], -1)
    # Thirds of steps by own clicks, of each channel: what happens there is not looked at.
    lift_S = whole.phi_NCD[..., -2].mean(1)
    third_S = np.searchsorted(np.quantile(lift_S, [1 / 3, 2 / 3]), lift_S)
    spread, unseen = [], moved_NCM.shape[-1] - 1
    for k, (kept_R, gain_R) in enumerate(_judged(events)):
        kept = kept_R[row_S]
        head = heads.moved(whole.heads[k], moved_NCM.shape[-1])
        head = heads.apart(head, phi_NCD, logits[0][k], logits[1][k], unseen)
        spread.append(heads.misfit(
            head, phi_NCD[kept], channel_S[kept], gain_R[row_S[kept]].astype(float), events.user_R[row_S[kept]],
            third_S[kept], unseen,
        ))  # fmt: skip
    first_R = events.first_R == np.arange(len(events))
    first = tuple(np.flatnonzero(first_R & (part_U == part)[events.user_R]) for part in (TRAIN, VALIDATION))
    ones = tuple(np.ones((len(rows), 1)) for rows in first)
    prior, _ = _heads(events, (ones[0], ones[1][:, None]), (first[0], first[1]), (None, None), None)
    response = Response(
        whole.net, whole.own, table.layout, scaler, settings.window, (spread[0], spread[1]), prior,
        _otherwise(events, is_learned_U[events.user_R]),
    )  # fmt: skip
    return response, whole.curve


def _otherwise(events: Events, of_R: NDArray[np.bool_]) -> Floats:
    """p(conversion | no click) by channel, each drawn to that of all by `PRIOR_WEIGHT` exposures, (C,)."""
    C, rest_R = len(events.channels), of_R & ~events.clicked_R
    shown_C = np.bincount(events.channel_R[rest_R], minlength=C)
    sold_C = np.bincount(events.channel_R[rest_R & events.converted_R], minlength=C)
    rate = sold_C.sum() / max(shown_C.sum(), 1)
    return np.asarray((sold_C + PRIOR_WEIGHT * rate) / (shown_C + PRIOR_WEIGHT), float)


@dataclass(frozen=True, slots=True)
class _Learned:
    """A model from some users, without its intervals."""

    own: Own
    net: Net
    curve: Curve
    heads: tuple[Head, Head]
    choices: tuple[Choice, Choice]
    phi_NCD: Floats
    """What the heads see of validation steps."""


def _learned(
    table: Table,
    scaler: Scaler,
    of_U: NDArray[np.bool_],
    learn: Windows,
    validate: Windows,
    settings: Journeys,
    seed: int,
    work: Path | None,
    tell: Callable[[int, float, float], None] | None,
    label: str,
    choices: tuple[Choice, Choice] | None = None,
) -> _Learned:
    """Own clicks of these users, a network on what lies beyond, heads fitted anew on both and calibrated."""
    events = table.events
    own = owns.fit(events, of_U, table.layout, scaler, settings.window)
    known = tuple(owns.after(own, table, one.row_S, settings.window) for one in (learn, validate))
    offset_R = np.zeros(len(events) + 1, np.float32)
    for windows, own_SC in zip((learn, validate), known, strict=True):
        offset_R[windows.row_S] = own_SC[np.arange(len(own_SC)), table.next_channel(windows.row_S)]
    table = replace(table, offset_R=torch.from_numpy(offset_R))
    clicked_S, converted_S = table.next_gain_RG[learn.row_S, : len(HEADS)].T
    sold = float((clicked_S * converted_S).sum() + 0.5) / float(clicked_S.sum() + 1)
    net, curve = train(
        lambda: Net(table.layout, settings, (0.0, float(np.log(sold / (1 - sold))))),
        table, learn, validate, replace(settings.learning, seed=seed), work=work, tell=tell, label=label,
    )  # fmt: skip
    assert isinstance(net, Net)
    taken_S1 = offset_R[learn.row_S].astype(float)[:, None]
    phi = seen(read_of(net, table, learn), taken_S1)[:, 0], seen(read_of(net, table, validate), known[1])
    pair, found = _heads(events, phi, (learn.row_S + 1, validate.row_S + 1), KNOWN, choices)
    return _Learned(own, net, curve, pair, found, phi[1])


def _judged(events: Events) -> tuple[tuple[NDArray[np.bool_], NDArray[np.bool_]], ...]:
    """Of each head the exposures that it is of, and what happened there."""
    return (np.ones(len(events), bool), events.clicked_R), (events.clicked_R, events.converted_R)


def _heads(
    events: Events,
    phi: tuple[Floats, Floats],
    rows: tuple[Ints, Ints],
    known: tuple[float | None, float | None],
    choices: tuple[Choice, Choice] | None,
) -> tuple[tuple[Head, Head], tuple[Choice, Choice]]:
    """Of clicks, and of conversions where one clicked, at exposures: fitted on the first, calibrated on the second."""
    found = []
    for k, (which_R, gain_R) in enumerate(_judged(events)):
        kept = which_R[rows[0]], which_R[rows[1]]
        row = rows[0][kept[0]], rows[1][kept[1]]
        found.append(
            heads.chosen(
                (phi[0][kept[0]], phi[1][kept[1]]),
                (events.channel_R[row[0]], events.channel_R[row[1]]),
                (gain_R[row[0]].astype(float), gain_R[row[1]].astype(float)),
                (np.unique(events.user_R[row[0]], return_inverse=True)[1], events.user_R[row[1]]),
                len(events.channels),
                known[k],
                None if choices is None else choices[k],
            )
        )
    return (found[0][0], found[1][0]), (found[0][1], found[1][1])


def phi_of(response: Response, table: Table, windows: Windows) -> Floats:
    """What the heads see at every judged step, (S, C, D)."""
    own_SC = owns.after(response.own, table, windows.row_S, response.window)
    moved_SCM = owns.moves(response.own, table, windows.row_S, response.window)
    return seen(read_of(response.net, table, windows), own_SC, moved_SCM)
