"""Budgets that stepped within today's window."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pandas as pd

from crossmix.ingest.budget_moved import told

FIRST = date(2026, 1, 5)


def frame(times_TP: np.ndarray, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    week = np.where(np.arange(len(times_TP)) % 7 >= 5, 0.6, 1.0)[:, None]
    spend = 200 * times_TP * week * np.exp(0.06 * rng.standard_normal(times_TP.shape))
    names = ("google_ads", "meta", "tiktok")
    rows = [(FIRST + timedelta(days=t), names[p], spend[t, p]) for t in range(len(spend)) for p in range(3)]
    return pd.DataFrame(rows, columns=["date", "platform", "spend"])


def test_a_budget_that_doubled_last_week_is_told_with_what_is_spent_since() -> None:
    times = np.ones((180, 3))
    assert told(frame(times), 14) == []
    times[-6:] = 2
    (sentence,) = told(frame(times), 14)
    assert f"on {FIRST + timedelta(days=174)}" in sentence
    assert sentence.startswith("Spend rose")
    assert "--set data.today_days=6" in sentence


def test_one_platforms_own_step_is_told_by_name() -> None:
    times = np.ones((180, 3))
    times[-5:, 1] = 0.5
    (sentence,) = told(frame(times), 14)
    assert sentence.startswith("Spend on meta fell")
    assert "data.today_days=5" in sentence


def test_weekends_old_steps_and_budgets_that_wander_are_none() -> None:
    times = np.ones((180, 3))
    times[-40:] = 2
    assert told(frame(times), 14) == []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        x = rng.standard_normal((180, 3))
        for t in range(1, 180):
            x[t] = 0.8 * x[t - 1] + 0.6 * x[t]
        assert told(frame(np.exp(0.35 * x), seed), 14) == []
