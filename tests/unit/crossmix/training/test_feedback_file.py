"""Feedback between steps: what is read is what was written, and where there is none nothing is."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
import torch

from crossmix.agents import online
from crossmix.training.feedback_file import load_feedback, load_served, save_feedback, save_served
from tests.unit.crossmix.training.test_believed import table

WIDTH = 640
"""Of the state."""


def test_feedback_is_read_back(tmp_path: Path) -> None:
    written = table()
    written.clicks_TCP[1, 0, 1] = np.nan
    save_feedback(written, tmp_path)
    again = load_feedback(tmp_path)
    assert (again.campaigns, again.platforms) == (written.campaigns, written.platforms)
    for one in fields(written):
        np.testing.assert_array_equal(getattr(again, one.name), getattr(written, one.name), err_msg=one.name)


def test_what_was_served_is_read_back_and_nothing_is_no_file(tmp_path: Path) -> None:
    save_served(None, tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert load_served(tmp_path) is None
    written = online.Feedback(
        state_NS=torch.arange(3.0 * WIDTH).reshape(3, WIDTH),
        logits_NP=torch.arange(9.0).reshape(3, 3),
        log_density_N=torch.tensor([-1.0, -2.0, -3.0]),
        reward_N=torch.tensor([4.0, 5.0, 6.0]),
        group_N=torch.tensor([0, 0, 1]),
    )
    save_served(written, tmp_path)
    again = load_served(tmp_path)
    assert again is not None
    for one in fields(written):
        assert torch.equal(getattr(again, one.name), getattr(written, one.name)), one.name
