"""The levels' filter led through feedback, of rows that `Usual.of` has prepared: what monitors follow without a market.

Shapes: T cycles, C rows (campaigns, or flights of them), P platforms, Q quantities.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from crossmix.config import Levels
from crossmix.feedback import AMOUNTS, Feedback
from crossmix.market.level_evidence import QUANTITIES, Row, Surprise, Usual
from crossmix.market.levels import Followed, Residuals, State, learn, pass_cycle, start


def walk(usual: Usual, law: Levels, feedback: Feedback, state: State | None = None) -> Followed:
    """`levels.follow`, of rows without their market; from nothing seen, or from a `state` on."""
    state = start(usual, law) if state is None else state
    told: list[list[Surprise]] = []
    for cycle_C, row in _rows(feedback):
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


def _rows(feedback: Feedback) -> Iterator[tuple[Tensor, Row]]:
    """Each cycle's number in its campaign, and its row; where a campaign had no cycle nothing is known or told."""
    for t in range(len(feedback)):
        cycle_C = torch.from_numpy(feedback.cycle_TC[t])
        runs_C = cycle_C >= 0
        amounts = (
            torch.where(runs_C[:, None], torch.from_numpy(getattr(feedback, name)[t]).double(), torch.nan)
            for name in ("told_TCP", *AMOUNTS)
        )
        weekday_C = torch.from_numpy(feedback.weekday_TC[t]).clamp(0, 6)
        part_C = torch.where(runs_C, torch.from_numpy(feedback.part_TC[t]).double().nan_to_num(0.0), 0.0)
        yield cycle_C, Row(weekday_C, part_C, *amounts)
