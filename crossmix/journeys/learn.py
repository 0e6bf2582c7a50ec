"""Training on windows: mini-batches, a cosine of the rate, the epoch that is best on validation users is kept.

Shapes: S judged steps in the order of windows, C channels.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from tqdm import tqdm

from crossmix import files
from crossmix.journeys.settings import Learning
from crossmix.journeys.table import Batch, Table
from crossmix.journeys.windows import Windows

LARGEST_NORM = 1.0
CHECKPOINT = "training.pt"
PIECE = 1_024
"""Windows that are answered at a time."""


class Learnable(Protocol):
    """A module that knows its own losses."""

    def loss(self, batch: Batch, generator: torch.Generator | None = None) -> Tensor:
        """What is minimised."""

    def validation(self, batch: Batch) -> Tensor:
        """What decides which epoch is kept, a mean over judged steps."""

    def predict(self, batch: Batch) -> tuple[Tensor, Tensor | None]:
        """Log-probabilities of the next channel (B, T, C), and the next click's chance (B, T) where it has one."""


@dataclass(frozen=True, slots=True)
class Curve:
    """How a training went."""

    training: tuple[float, ...]
    """Loss by epoch."""
    validation: tuple[float, ...]
    best: int
    """Epoch whose weights are kept, from 0."""


def train(
    build: Callable[[], nn.Module],
    table: Table,
    train: Windows,
    validation: Windows,
    settings: Learning,
    *,
    work: Path | None = None,
    tell: Callable[[int, float, float], None] | None = None,
    label: str = "",
) -> tuple[nn.Module, Curve]:
    """Build a `Learnable` and train it; the same for the same seed on the same number of threads.

    Args:
        work: folder for a checkpoint after every epoch; a training that was killed goes on from it, and ends as if
            nothing had happened.
        tell: called after each epoch with its number and both losses.
        label: of the progress bar, which counts updates; without one there is no bar.

    Returns:
        the module in eval mode with the weights of its best epoch, and how it went.
    """
    generator = torch.Generator().manual_seed(settings.seed)
    rng = np.random.default_rng([settings.seed, 22])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        module = build()
        optimiser = torch.optim.AdamW(module.parameters(), lr=settings.rate, weight_decay=settings.decay)
        steps = settings.epochs * -(-len(train) // settings.batch)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: (1 + math.cos(math.pi * step / steps)) / 2)
        learned: list[float] = []
        validated: list[float] = []
        best, kept = 0, copy.deepcopy(module.state_dict())
        if work is not None and (work / CHECKPOINT).is_file():
            state = torch.load(work / CHECKPOINT, weights_only=True)
            for part, name in ((module, "module"), (optimiser, "optimiser"), (schedule, "schedule")):
                part.load_state_dict(state[name])
            generator.set_state(state["generator"])
            torch.set_rng_state(state["dropout"])
            learned, validated, best, kept = state["learned"], state["validated"], state["best"], state["kept"]
        each = steps // settings.epochs
        bar = tqdm(
            total=steps, initial=each * len(validated), desc=label, unit="update", mininterval=2.0, disable=not label
        )
        for epoch in range(settings.epochs):
            order_N = rng.permutation(len(train))
            if epoch < len(validated):
                continue  # done before the kill; the order was drawn, so that the next is the next
            if epoch and epoch - 1 - best >= settings.patience:
                break
            learned.append(_epoch(module.train(), table, train, order_N, settings, optimiser, schedule, generator, bar))
            validated.append(_validate(module.eval(), table, validation))
            if validated[epoch] <= validated[best] or not epoch:
                best, kept = epoch, copy.deepcopy(module.state_dict())
            if tell is not None:
                tell(epoch, learned[epoch], validated[epoch])
            if work is not None:
                state = {
                    "module": module.state_dict(), "optimiser": optimiser.state_dict(),
                    "schedule": schedule.state_dict(), "generator": generator.get_state(),
                    "dropout": torch.get_rng_state(), "learned": learned, "validated": validated, "best": best,
                    "kept": kept,
                }  # fmt: skip
                work.mkdir(parents=True, exist_ok=True)
                with files.replacing(work / CHECKPOINT) as part_file:
                    torch.save(state, part_file)
        bar.close()
        module.load_state_dict(kept)
    return module.eval(), Curve(tuple(learned), tuple(validated), best)


def _epoch(
    module: nn.Module,
    table: Table,
    windows: Windows,
    order_N: npt.NDArray[np.int64],
    settings: Learning,
    optimiser: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    generator: torch.Generator,
    bar: tqdm[Any],
) -> float:
    """One pass; the mean loss of its updates."""
    total = 0.0
    batches = range(0, len(order_N), settings.batch)
    for begin in batches:
        loss: Tensor = module.loss(table.batch(windows, order_N[begin : begin + settings.batch]), generator)  # type: ignore[operator]
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(module.parameters(), LARGEST_NORM)
        optimiser.step()
        schedule.step()
        total += float(loss.detach())
        bar.update()
    return total / max(len(batches), 1)


@torch.no_grad()
def _validate(module: nn.Module, table: Table, windows: Windows) -> float:
    total, steps = 0.0, 0
    for begin in range(0, len(windows), PIECE):
        part = slice(begin, begin + PIECE)
        judged = int(windows.scored_NT[part].sum())
        total += float(module.validation(table.batch(windows, part))) * judged  # type: ignore[operator]
        steps += judged
    return total / max(steps, 1)


@torch.no_grad()
def predict(
    module: nn.Module, table: Table, windows: Windows
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64] | None]:
    """Log-probabilities of the next channel at every judged step, (S, C), and the next click's chance, (S,)."""
    logs: list[npt.NDArray[np.float64]] = []
    clicks: list[npt.NDArray[np.float64]] = []
    module.eval()
    for begin in range(0, len(windows), PIECE):
        batch = table.batch(windows, slice(begin, begin + PIECE))
        log_BTC, click_BT = module.predict(batch)  # type: ignore[operator]
        logs.append(log_BTC[batch.scored_BT].double().numpy())
        if click_BT is not None:
            clicks.append(click_BT[batch.scored_BT].double().numpy())
    return np.concatenate(logs), np.concatenate(clicks) if clicks else None
