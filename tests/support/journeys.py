"""Small journeys for tests."""

from __future__ import annotations

import numpy as np
import pandas as pd

from crossmix.journeys.layout import Layout, of_log
from crossmix.journeys.log import Events, Ints, of_frame
from crossmix.journeys.table import Table, tabulate
from crossmix.journeys.windows import scaler

CHANNELS = ("a", "b", "c")


def frame(users: int = 40, seed: int = 0, *, least: int = 3, most: int = 30, stay: float = 0.6) -> pd.DataFrame:
    """Impressions: a user stays on its channel with chance `stay`, and clicks at a rate of its own."""
    rng = np.random.default_rng(seed)
    rows = []
    for user in range(users):
        rate, channel = rng.beta(1, 1), int(rng.integers(3))
        at = pd.Timestamp("2026-01-01") + pd.Timedelta(seconds=float(rng.integers(0, 86_400)))
        for _ in range(int(rng.integers(least, most + 1))):
            channel = channel if rng.random() < stay else int(rng.integers(3))
            clicked = bool(rng.random() < rate)
            sold = clicked and rng.random() < 0.3
            rows.append(
                {
                    "user_id": f"u{user:03d}",
                    "platform": CHANNELS[channel],
                    "timestamp": at,
                    "impression_id": f"i{len(rows):05d}",
                    "clicked": clicked,
                    "price_paid": float(rng.exponential(0.1)),
                    "converted": sold,
                    "conversion_timestamp": at + pd.Timedelta(seconds=900) if sold else pd.NaT,
                    "revenue": 2.0 if sold else 0.0,
                }
            )
            at += pd.Timedelta(seconds=float(rng.exponential(600)) + 1)
    table = pd.DataFrame(rows)
    return table.iloc[rng.permutation(len(table))].reset_index(drop=True)


def events(users: int = 40, seed: int = 0, **settings: float) -> Events:
    """Of `frame`."""
    return of_frame(frame(users, seed, **settings), CHANNELS)  # type: ignore[arg-type]


def table(of: Events, fitted_S: Ints, layout: Layout | None = None) -> Table:
    """Features scaled by those steps."""
    layout = layout or of_log(of)
    feature_RF = layout.features(of)
    return tabulate(of, layout, feature_RF, scaler(layout, feature_RF, fitted_S))
