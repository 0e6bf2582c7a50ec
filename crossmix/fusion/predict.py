"""Logits of both heads for all impressions, and the mean fused context of every campaign and cycle."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from crossmix import ranks
from crossmix.fusion.learn import PIECE, lower_precision, trimmed
from crossmix.fusion.model import MODALITIES, Fusion
from crossmix.fusion.table import Table
from crossmix.schema import ROWS

BATCH = 1024
"""Rows at a time; more are slower: the temporaries leave the cache (measured: 2.3 s for 60,000 rows, 5 s at 8192)."""
GPU_BATCH = 65_536
"""The same on a GPU."""
BEFORE_FIRST = -1
"""The cycle of the context that stands before a campaign's first."""


@dataclass(frozen=True, slots=True)
class Predicted:
    """For every impression of the table, and its campaigns' contexts."""

    click: NDArray[np.float32]
    """Raw logit of p(click), (rows,)."""
    conversion: NDArray[np.float32]
    """Raw logit of p(conversion | click), (rows,)."""
    campaign: NDArray[np.int64]
    cycle: NDArray[np.int64]
    context: NDArray[np.float32]
    """(campaigns x cycles present, plus one before the first each, D)."""
    attention: dict[str, float]
    """Mean weight of each modality over the judged impressions that have any."""


def predict(module: Fusion, table: Table) -> Predicted:
    """Run the module once over all rows; rows with the same history share its encoding.

    Batches go by length of history, so that short ones are not padded to the longest. On this rank's GPU where there
    is one, there in bfloat16 under autocast; the module ends on the CPU.
    """
    from tqdm import tqdm

    device = ranks.device()
    batch, piece = (GPU_BATCH, GPU_BATCH) if device.type == "cuda" else (BATCH, PIECE)
    module.to(device).eval()

    def here(array: NDArray[Any]) -> torch.Tensor:
        return torch.from_numpy(array).to(device)

    rows = len(table.creative)
    sequence, first_row = _distinct(table.events)
    order = np.argsort(sequence, kind="stable").astype(np.int32)
    cycles = int(table.cycle.max()) + 1
    count = np.zeros(len(table.campaigns) * cycles, dtype=np.int64)
    sums = torch.zeros(len(table.campaigns) * cycles, module.config.modality_dim, dtype=torch.float64)
    click, conversion = np.empty(rows, dtype=np.float32), np.empty(rows, dtype=np.float32)
    attention, judged = np.zeros(len(MODALITIES)), 0
    with torch.inference_mode(), lower_precision(device):
        image, text = (
            None if vectors is None else here(vectors) for vectors in (table.creatives.image, table.creatives.text)
        )
        creative_token, creative_qkv = module.creative_tokens(image, text, len(table.creatives.has))
        for start in tqdm(range(0, rows, batch), desc="predict", unit="batch", mininterval=5):
            picked = order[start : start + batch]
            present = table.present(picked)
            inside = (sequence[picked] - sequence[picked[0]]).astype(np.int64)
            group = table.campaign[picked].astype(np.int64) * cycles + table.cycle[picked]
            histories = table.events[first_row[sequence[picked[0]] : sequence[picked[-1]] + 1]]
            history_token, history_qkv = _joined(
                module.behaviour_tokens(part) for part in torch.split(here(trimmed(histories)), piece)
            )
            codes = (table.creative[picked].astype(np.int64), inside, table.platform[picked].astype(np.int64), present)
            pieces = (torch.split(here(one), piece) for one in codes)
            parts = []
            for creative, history, platform, there in zip(*pieces, strict=True):
                fused, weight = module.fuse(
                    torch.cat([creative_token[creative], history_token[history].unsqueeze(1)], dim=1),
                    torch.cat([creative_qkv[creative], history_qkv[history].unsqueeze(1)], dim=1),
                    there,
                )
                parts.append((fused, weight, *module.heads(fused, platform)))
            fused, weight, *logits = _joined(parts)
            click[picked], conversion[picked] = (part.float().cpu().numpy() for part in logits)
            sums.index_add_(0, torch.from_numpy(group), fused.cpu().double())
            count += np.bincount(group, minlength=len(count))
            judged_rows = table.judge[picked] & present.any(axis=1)
            attention += weight.float().cpu().numpy()[judged_rows].sum(axis=0, dtype=np.float64)
            judged += int(judged_rows.sum())
    module.cpu()
    filled = np.flatnonzero(count)
    means = sums.numpy()[filled] / count[filled, None]
    return Predicted(
        click=click,
        conversion=conversion,
        campaign=np.concatenate([np.arange(len(table.campaigns)), filled // cycles]),
        cycle=np.concatenate([np.full(len(table.campaigns), BEFORE_FIRST), filled % cycles]),
        context=np.concatenate([before_first(module, table), means]).astype(np.float32),
        attention=dict(zip(MODALITIES, (attention / max(judged, 1)).tolist(), strict=True)),
    )


def _joined(parts: Iterable[tuple[torch.Tensor, ...]]) -> list[torch.Tensor]:
    """What was computed in pieces of rows."""
    return [torch.cat(column) for column in zip(*parts, strict=True)]


def before_first(module: Fusion, table: Table) -> NDArray[np.float32]:
    """(campaigns, D): mean over a campaign's creatives with the behaviour masked; the learned one where it has none."""
    creatives = table.creatives
    none = len(creatives.ids)
    contexts = []
    for campaign in range(len(table.campaigns)):
        own = np.unique(table.creative[table.campaign == campaign])
        own = own[own != none] if (own != none).any() else np.array([none])
        image, text = (
            None if vectors is None else torch.from_numpy(vectors[own]) for vectors in (creatives.image, creatives.text)
        )
        masks = torch.from_numpy(np.column_stack([creatives.has[own], np.zeros(len(own), dtype=bool)]))
        contexts.append(module.context(image, text, None, masks).double().mean(dim=0).numpy())
    return np.stack(contexts).astype(np.float32)


def _distinct(events: NDArray[np.integer[Any]]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Each row's number among the distinct histories, shortest first, and the first row that holds each of them.

    Histories of one length are in the order of their bytes. Rows are sorted by their numbers alone: no history is
    copied but those of a batch.
    """
    rows = np.ascontiguousarray(events)
    keys = rows.view(np.dtype((np.void, rows.dtype.itemsize * rows.shape[1]))).ravel()
    by_bytes = np.argsort(keys, kind="stable").astype(np.int32)
    starts = np.ones(len(rows), dtype=bool)
    for start in range(1, len(rows), ROWS):
        here, before = by_bytes[start : start + ROWS], by_bytes[start - 1 : start + ROWS - 1]
        starts[start : start + ROWS] = (rows[here] != rows[before[: len(here)]]).any(axis=1)
    first = by_bytes[starts]
    length = np.empty(len(first), dtype=np.int16)
    for start in range(0, len(first), ROWS):
        length[start : start + ROWS] = (rows[first[start : start + ROWS]] > 0).sum(axis=1)
    by_length = np.argsort(length, kind="stable").astype(np.int32)
    rank = np.empty(len(first), dtype=np.int32)
    rank[by_length] = np.arange(len(first), dtype=np.int32)
    number = np.empty(len(rows), dtype=np.int32)
    number[by_bytes] = rank[np.cumsum(starts, dtype=np.int32) - 1]
    return number, first[by_length]
