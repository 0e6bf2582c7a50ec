"""The next click by the user's own share of clicks so far, drawn to the mean of all: (clicks + n p) / (exposures + n).

n is the one of `PSEUDO` under which the training clicks are likeliest. `on_channel` knows the channel of the coming
exposure too: a logistic regression on the log-odds of that share and an intercept per channel,

    logit p = b logit(share) + a_c

which is what a model that is told the channel has to beat. It shares no code with the model's own shrinkage (`own`), of
which it is the simplest form: a reference does not move with what is held against it.

Shapes: S judged steps, C channels, X columns of the regression.
"""

from __future__ import annotations

import numpy as np
from scipy.special import expit, logit

from crossmix.journeys.log import Floats, Ints
from crossmix.journeys.references import Answers, Fitted
from crossmix.journeys.table import Table
from crossmix.journeys.windows import Windows

RIDGE = 1e-3
"""Precision of every coefficient, so that a channel without a click has one."""
NEWTON = 30
PSEUDO = (0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 30.0, 100.0)
"""Exposures that the mean of all weighs."""


def own(table: Table, row_S: Ints) -> tuple[Floats, Floats]:
    """Clicks and exposures of the user up to and with each step."""
    events = table.events
    total_R = np.concatenate([[0.0], np.cumsum(events.clicked_R)])
    first_S = events.first_R[row_S]
    return np.asarray(total_R[row_S + 1] - total_R[first_S], float), np.asarray(row_S + 1 - first_S, float)


def fit(table: Table, train: Windows, validation: Windows, seed: int) -> Fitted:
    """The mean click rate and n."""
    row_S = np.unique(train.row_S)
    clicked_S = table.next_click(row_S)
    rate = (clicked_S.sum() + 1) / (len(row_S) + 2)
    clicks_S, shown_S = own(table, row_S)

    def likelihood(pseudo: float) -> float:
        chance_S = (clicks_S + pseudo * rate) / (shown_S + pseudo)
        return float(np.log(np.where(clicked_S, chance_S, 1 - chance_S)).sum())

    best = max(PSEUDO, key=likelihood)

    def answer(windows: Windows) -> Answers:
        clicks_S, shown_S = own(table, windows.row_S)
        return Answers(None, None, (clicks_S + best * rate) / (shown_S + best))

    return answer


def on_channel(table: Table, train: Windows, validation: Windows, seed: int) -> Fitted:
    """Own click share with an intercept for the coming exposure's channel, fitted on training steps."""
    share = fit(table, train, validation, seed)

    def design(windows: Windows) -> Floats:
        share_S = share(windows).click_S
        assert share_S is not None
        return np.column_stack([logit(share_S), np.eye(table.channels)[table.next_channel(windows.row_S)]])

    column_SX, clicked_S = design(train), table.next_click(train.row_S)
    weight_X = np.zeros(column_SX.shape[1])
    for _ in range(NEWTON):
        chance_S = expit(column_SX @ weight_X)
        curvature = (column_SX * (chance_S * (1 - chance_S))[:, None]).T @ column_SX + RIDGE * np.eye(len(weight_X))
        step_X = np.linalg.solve(curvature, column_SX.T @ (clicked_S - chance_S) - RIDGE * weight_X)
        weight_X = weight_X + step_X * min(1.0, 5.0 / max(np.abs(step_X).max(), 1e-12))
        if np.abs(step_X).max() < 1e-8:
            break

    def answer(windows: Windows) -> Answers:
        return Answers(None, None, expit(design(windows) @ weight_X))

    return answer
