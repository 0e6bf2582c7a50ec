"""A training loop that a kill does not undo: Adam over shuffled windows, stopped by validation users.

After every epoch its state is written; a training that finds one goes on from there and ends as if nothing had
happened.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from crossmix import files
from crossmix.journeys.settings import Learning
from crossmix.journeys.table import Batch, Table
from crossmix.journeys.windows import Windows

CHECKPOINT = "journey.pt"
PASS = 2_048


class Learned(Protocol):
    """A module of torch with a loss."""

    def loss(self, batch: Batch, generator: torch.Generator | None = None) -> Tensor: ...
    def train(self, mode: bool = True) -> Any: ...
    def parameters(self) -> Any: ...
    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state: Any) -> Any: ...


def train(
    net: Learned,
    table: Table,
    learn: Windows,
    validate: Windows,
    settings: Learning,
    *,
    work: Path | None = None,
    tell: Callable[[int, float, float], None] | None = None,
) -> float:
    """Train in place; the weights of the best epoch are kept. Returns their validation loss."""
    optimizer = torch.optim.AdamW(net.parameters(), lr=settings.rate, weight_decay=settings.decay)
    updates = max(1, math.ceil(len(learn) / settings.batch))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, settings.epochs * updates)
    generator = torch.Generator().manual_seed(settings.seed)
    best, best_loss, since, first = copy.deepcopy(net.state_dict()), math.inf, 0, 0
    file = None if work is None else work / CHECKPOINT
    if file is not None and file.is_file():
        kept = torch.load(file, weights_only=True)
        net.load_state_dict(kept["net"])
        optimizer.load_state_dict(kept["optimizer"])
        schedule.load_state_dict(kept["schedule"])
        generator.set_state(kept["generator"])
        torch.set_rng_state(kept["random"])
        best, best_loss, since, first = kept["best"], kept["best_loss"], kept["since"], kept["epoch"] + 1
    for epoch in range(first, settings.epochs):
        if since >= settings.patience:
            break
        net.train(True)
        total = 0.0
        order = torch.randperm(len(learn), generator=generator)
        for picked in order.split(settings.batch):
            loss = net.loss(table.batch(learn, picked.numpy()), generator)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            total += loss.item() * len(picked)
        validation = _loss(net, table, validate)
        since += 1
        if validation < best_loss:
            best, best_loss, since = copy.deepcopy(net.state_dict()), validation, 0
        if tell is not None:
            tell(epoch, total / len(learn), validation)
        if file is not None:
            state = {
                "net": net.state_dict(), "optimizer": optimizer.state_dict(), "schedule": schedule.state_dict(),
                "generator": generator.get_state(), "random": torch.get_rng_state(), "best": best,
                "best_loss": best_loss, "since": since, "epoch": epoch,
            }  # fmt: skip
            with files.replacing(file) as part:
                torch.save(state, part)
    net.load_state_dict(best)
    net.train(False)
    return best_loss


def _loss(net: Learned, table: Table, windows: Windows) -> float:
    """Over all judged steps."""
    net.train(False)
    total, steps = 0.0, 0
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for first in range(0, len(windows), PASS):
            batch = table.batch(windows, slice(first, first + PASS))
            judged = int(batch.scored_BT.sum())
            total, steps = total + net.loss(batch, generator).item() * judged, steps + judged
    return total / max(steps, 1)
