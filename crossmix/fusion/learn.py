"""Training of the fusion: both heads over the entire impression space (losses on all impressions)."""

from __future__ import annotations

import copy
import math
import os
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from crossmix import ranks
from crossmix.config import Fusion as FusionConfig
from crossmix.fusion.model import Fusion, Sizes, entire_space_loss
from crossmix.fusion.table import Table

WEIGHT_DECAY = 0.01
WARM_UP = 0.1
"""Share of the steps over which the learning rate rises; afterwards it falls to 0 as a half cosine."""
LARGEST_NORM = 1.0
CHECKED_ROWS = 20_000
"""Most calibration rows that tell, after each epoch, which epoch's weights are kept."""
PIECE = 256
"""Rows that go through the module at a time where no gradient is wanted, on the CPU in prediction too: their
temporaries are below those of a batch of training, whose memory they take."""


@dataclass(frozen=True, slots=True)
class Learned:
    """What training returns."""

    module: Fusion
    """In eval mode and on the CPU, with the weights of the best epoch."""
    distinct_rows: int
    """Distinct training rows."""
    curve: list[dict[str, float]]
    """Per epoch: training loss, validation loss (both heads' cross-entropy, nats per impression)."""


def keep_no_kernels() -> None:
    """Tell oneDNN to keep no kernel per shape: no two batches of histories are alike, and a thousand of them stay.

    Takes effect before a process's first product; the results are the same.
    """
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "0")


def build(config: FusionConfig, table: Table) -> Fusion:
    """A fresh module for that table: sizes, centres of the training creatives, heads starting at the base rates."""
    creatives = table.creatives
    sizes = Sizes(
        image=None if creatives.image is None else creatives.image.shape[1],
        text=None if creatives.text is None else creatives.text.shape[1],
        vocabulary=table.vocabulary,
        steps=table.events.shape[1],
        platforms=table.platforms,
    )
    module = Fusion(config, sizes)
    trained = np.unique(table.creative[table.train])
    for slot, (name, vectors) in enumerate((("image", creatives.image), ("text", creatives.text))):
        known = trained[creatives.has[trained, slot]]
        if vectors is not None and len(known):
            module.standardise(name, torch.from_numpy(vectors[known]))
    clicks, conversions = int(table.clicked[table.train].sum()), int(table.converted[table.train].sum())
    rows = int(table.train.sum())
    for head, events, chances in ((module.click, clicks, rows), (module.conversion, conversions, clicks)):
        last = head[-1]
        assert isinstance(last, torch.nn.Linear)
        rate = min((events + 1) / (chances + 2), 0.5)
        torch.nn.init.constant_(last.bias, float(np.log(rate / (1 - rate))))
    return module


def train(config: FusionConfig, table: Table) -> Learned:
    """Train by AdamW, on this rank's GPU where there is one, there in bfloat16 under autocast.

    Deterministic by `config.seed` for a given number of torch threads, on the CPU.

    Each epoch sees at most `config.train_rows` rows; a subsample is drawn without replacement over the epochs, so that
    two epochs of a large log see different rows.
    """
    from tqdm import tqdm

    rng = np.random.default_rng(config.seed)
    device = ranks.device()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(config.seed)
        module = build(config, table).to(device).train()
        rows = np.flatnonzero(table.train).astype(np.int32)
        order = _order(rows, config, rng)
        checked = np.flatnonzero(table.calibrate).astype(np.int32)
        checked = np.sort(rng.permutation(checked)[:CHECKED_ROWS])
        steps = sum(-(-len(epoch) // config.batch) for epoch in order)
        optimiser = torch.optim.AdamW(module.parameters(), lr=config.learning_rate, weight_decay=WEIGHT_DECAY)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: rate_at(step, steps))
        curve: list[dict[str, float]] = []
        best = (float("inf"), copy.deepcopy(module.state_dict()))
        with tqdm(total=steps, desc="fusion", unit="step", mininterval=5) as bar:
            for epoch, chosen in enumerate(order):
                total = 0.0
                for start in range(0, len(chosen), config.batch):
                    picked = chosen[start : start + config.batch]
                    present = _dropped(table, picked, config.modality_dropout, rng)
                    loss = batch_loss(module, table, picked, present)
                    ranks.optimiser_step(optimiser, loss, LARGEST_NORM)
                    schedule.step()
                    total += float(loss.detach()) * len(picked)
                    bar.update()
                trained, validated = total / len(chosen), validate(module, table, checked)
                curve.append({"epoch": epoch + 1, "training_loss": trained, "validation_loss": validated})
                bar.set_postfix(loss=f"{trained:.4f}", validation=f"{validated:.4f}")
                # Without validation rows the loss is NaN, and the last epoch stands.
                if not validated >= best[0]:
                    best = (validated, copy.deepcopy(module.state_dict()))
        module.load_state_dict(best[1])
    return Learned(module.cpu().eval(), _distinct_rows(order, len(table.train)), curve)


def rate_at(step: int, steps: int) -> float:
    """The learning rate's share of its peak: a linear warm-up, then half a cosine down to 0 at the last step."""
    warm = WARM_UP * steps
    if step < warm:
        return (step + 1) / (warm + 1)
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(steps - warm, 1)))


def batch_loss(module: Fusion, table: Table, picked: NDArray[np.int32], present: NDArray[np.bool_]) -> Tensor:
    """The entire-space loss of some rows, each distinct creative projected once.

    Without gradients `PIECE` rows go through the module at a time: no more temporaries stand at once than in training.
    """
    device = next(module.parameters()).device
    distinct, inverse = np.unique(table.creative[picked], return_inverse=True)
    image, text = (
        None if vectors is None else torch.from_numpy(vectors[distinct]).to(device)
        for vectors in (table.creatives.image, table.creatives.text)
    )
    rows = [
        torch.from_numpy(array).to(device)
        for array in (inverse, trimmed(table.events[picked]), present, table.platform[picked].astype(np.int64))
    ]
    with lower_precision(device):
        creatives = module.creative_tokens(image, text, len(distinct))
        size = len(picked) if torch.is_grad_enabled() else PIECE
        split = zip(*(torch.split(part, size) for part in rows), strict=True)
        pieces = [module.logits(creatives, *piece) for piece in split]
        click_B, conversion_B = (torch.cat(parts) for parts in zip(*pieces, strict=True))
    clicked_B, converted_B = (
        torch.from_numpy(flags[picked]).float().to(device) for flags in (table.clicked, table.converted)
    )
    return entire_space_loss(click_B.float(), conversion_B.float(), clicked_B, converted_B)


def lower_precision(device: torch.device) -> AbstractContextManager[Any]:
    """Products in bfloat16 on a GPU; on the CPU, as they are."""
    return torch.autocast(device.type, torch.bfloat16) if device.type == "cuda" else nullcontext()


def trimmed(events: NDArray[np.integer]) -> NDArray[np.int64]:
    """Histories without the columns that are padding in every row (at least one column is left)."""
    used = np.flatnonzero(events.any(axis=0))
    first = int(used[0]) if len(used) else events.shape[1] - 1
    return events[:, first:].astype(np.int64)


def validate(module: Fusion, table: Table, rows: NDArray[np.int32], batch: int = 4096) -> float:
    """Mean entire-space loss of rows, without dropout; NaN where there are none."""
    if not len(rows):
        return float("nan")
    module.eval()
    total = 0.0
    with torch.inference_mode():
        for start in range(0, len(rows), batch):
            part = slice(start, start + batch)
            total += float(batch_loss(module, table, rows[part], table.present(rows[part]))) * len(rows[part])
    module.train()
    return total / len(rows)


def _order(rows: NDArray[np.int32], config: FusionConfig, rng: np.random.Generator) -> list[NDArray[np.int32]]:
    """Rows of every epoch, shuffled."""
    size = min(len(rows), config.train_rows)
    if size == len(rows):
        return [rng.permutation(rows) for _ in range(config.epochs)]
    rounds = -(-size * config.epochs // len(rows))
    stream = np.concatenate([rng.permutation(rows) for _ in range(rounds)])
    return [stream[epoch * size : (epoch + 1) * size] for epoch in range(config.epochs)]


def _distinct_rows(order: list[NDArray[np.int32]], rows: int) -> int:
    seen = np.zeros(rows, dtype=bool)
    for epoch in order:
        seen[epoch] = True
    return int(seen.sum())


def _dropped(table: Table, picked: NDArray[np.int32], chance: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """(rows, 3) presence with each present modality masked by chance."""
    there = table.present(picked)
    return there & (rng.random(there.shape) >= chance)
