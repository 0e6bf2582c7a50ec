"""The levels' filter led through feedback, of rows that `Usual.of` has prepared: what monitors follow without a market.

Shapes: T cycles, C rows (campaigns, or flights of them), P platforms, Q quantities.
"""

from __future__ import annotations

import numpy as np
import torch

from crossmix.config import Levels
from crossmix.feedback import Feedback
from crossmix.market.level_evidence import QUANTITIES, Surprise, Usual
from crossmix.market.levels import Followed, Residuals, State, learn, pass_cycle, rows, start


def walk(usual: Usual, law: Levels, feedback: Feedback, state: State | None = None) -> Followed:
    """`levels.follow`, of rows without their market; from nothing seen, or from a `state` on."""
    state = start(usual, law) if state is None else state
    told: list[list[Surprise]] = []
    for cycle_C, row in rows(feedback):
        # A campaign that begins has no clicks behind it.
        clicks_DCP = torch.where((cycle_C == 0)[:, None], 0.0, state.clicks_DCP)
        state, surprises = learn(usual, law, state._replace(clicks_DCP=clicks_DCP), row)
        told.append(surprises)
        state = pass_cycle(usual, law, state)
    shape = (0, *usual.cvr.shape, len(QUANTITIES))
    tables = [
        np.stack([np.stack([getattr(one, name).numpy() for one in each], -1) for each in told])
        if told
        else np.zeros(shape)
        for name in Surprise._fields
    ]
    return Followed(state, Residuals(*tables))
