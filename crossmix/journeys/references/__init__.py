"""What MTORL has to beat: the simplest things that do the same, and the learners of its paper, one short file each.

Each file has `fit(table, train, validation, seed)`, which returns what answers for windows. `NAMES` lists them.

Shapes: S judged steps in the order of windows, C channels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

import numpy as np

from crossmix.journeys.log import Floats, Ints
from crossmix.journeys.table import Table
from crossmix.journeys.windows import Windows

NAMES = {
    "repeat-last": "repeat_last",
    "markov": "markov",
    "cache mixture": "mixture",
    "own click share": "own_clicks",
    "1-NN": "nearest",
    "LightGBM": "boosted",
    "BC": "bc",
    "GRU": "gru",
    "DT": "decision_transformer",
    "CQL": "cql",
    "IQL": "iql",
    "BCQ": "bcq",
}
"""Name in tables to file."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What a model says at each judged step of the exposure that comes next."""

    choice_S: Ints | None
    """Channel; `None`: it names none."""
    log_SC: Floats | None
    """Log-probability of each channel; `None`: it has none."""
    click_S: Floats | None
    """Higher where a click is likelier; `None`: it does not say."""


Fitted = Callable[[Windows], Answers]
Fit = Callable[[Table, Windows, Windows, int], Fitted]
"""(steps, training windows, validation windows, seed) -> what answers."""


def of_logs(log_SC: Floats, click_S: Floats | None = None) -> Answers:
    """The likeliest channel is the choice."""
    return Answers(np.argmax(log_SC, axis=1), log_SC, click_S)


def load(name: str) -> Fit:
    """The fit of a name of `NAMES`."""
    fit: Fit = import_module(f"{__name__}.{NAMES[name]}").fit
    return fit
