"""Gradient-boosted trees on the features of one step (LightGBM, extra `bench`): next channel, and next click."""

from __future__ import annotations

from typing import Any

import numpy as np

from crossmix.journeys.references import Answers, Fitted, of_logs
from crossmix.journeys.table import Table
from crossmix.journeys.windows import Windows

SETTINGS: dict[str, Any] = {
    "learning_rate": 0.05,
    "num_leaves": 15,
    "min_data_in_leaf": 50,
    "feature_fraction": 0.8,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "num_threads": 1,
    "deterministic": True,
    "verbosity": -1,
}
MOST_ROUNDS, PATIENCE = 400, 20
"""Of boosting; training ends where validation users have not gained for so long."""
FLOOR = 1e-6
"""Least probability of a channel."""


def fit(table: Table, train: Windows, validation: Windows, seed: int) -> Fitted:
    """Two boosters, stopped by validation users.

    Raises:
        ImportError: LightGBM is not installed.
    """
    import lightgbm

    feature_RF = table.feature_RF.numpy()
    train_S, validation_S = np.unique(train.row_S), np.unique(validation.row_S)

    def boost(objective: dict[str, Any], train_y: Any, validation_y: Any) -> Any:
        known = lightgbm.Dataset(feature_RF[train_S], train_y)
        return lightgbm.train(
            SETTINGS | objective | {"seed": seed},
            known,
            MOST_ROUNDS,
            valid_sets=[lightgbm.Dataset(feature_RF[validation_S], validation_y, reference=known)],
            callbacks=[lightgbm.early_stopping(PATIENCE, verbose=False)],
        )

    channel = boost(
        {"objective": "multiclass", "num_class": table.channels},
        table.next_channel(train_S),
        table.next_channel(validation_S),
    )
    click = boost({"objective": "binary"}, table.next_click(train_S), table.next_click(validation_S))

    def answer(windows: Windows) -> Answers:
        asked_SF = feature_RF[windows.row_S]
        chance_SC = np.maximum(channel.predict(asked_SF), FLOOR)
        return of_logs(np.log(chance_SC / chance_SC.sum(axis=1, keepdims=True)), np.asarray(click.predict(asked_SF)))

    return answer
