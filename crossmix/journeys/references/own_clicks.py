"""The next click by the user's own share of clicks so far, drawn to the mean of all: (clicks + n p) / (exposures + n).

n is the one of `PSEUDO` under which the training clicks are likeliest.
"""

from __future__ import annotations

import numpy as np

from crossmix.journeys.log import Floats, Ints
from crossmix.journeys.references import Answers, Fitted
from crossmix.journeys.table import Table
from crossmix.journeys.windows import Windows

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
