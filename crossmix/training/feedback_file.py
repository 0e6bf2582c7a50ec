"""Feedback on disk, between the step that reads the ledger and those that learn from it: feedback.npz, served.npz."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import torch

from crossmix.agents import online
from crossmix.feedback import Feedback

FEEDBACK, SERVED = "feedback.npz", "served.npz"
_NAMES = ("campaigns", "platforms")


def save_feedback(feedback: Feedback, folder: Path) -> None:
    """Write feedback.npz."""
    tables: dict[str, Any] = {one.name: np.asarray(getattr(feedback, one.name)) for one in fields(feedback)}
    tables |= {name: np.array(getattr(feedback, name), np.str_) for name in _NAMES}
    np.savez_compressed(folder / FEEDBACK, **tables)


def load_feedback(folder: Path) -> Feedback:
    """Read what `save_feedback` wrote."""
    with np.load(folder / FEEDBACK) as file:
        tables: dict[str, Any] = {one.name: file[one.name] for one in fields(Feedback)}
    return Feedback(**tables | {name: tuple(tables[name].tolist()) for name in _NAMES})


def save_served(served: online.Feedback | None, folder: Path) -> None:
    """Write served.npz; nothing where there is nothing to learn from."""
    if served is not None:
        tables: dict[str, Any] = {one.name: getattr(served, one.name).numpy() for one in fields(served)}
        np.savez_compressed(folder / SERVED, **tables)


def load_served(folder: Path) -> online.Feedback | None:
    """Read what `save_served` wrote; raises `FeedbackError` where it is no log."""
    if not (folder / SERVED).exists():
        return None
    with np.load(folder / SERVED) as file:
        return online.Feedback(**{one.name: torch.from_numpy(file[one.name]) for one in fields(online.Feedback)})
