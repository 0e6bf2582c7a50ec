"""The train step of task `journeys`: the response model, and MTORL beside it, from users that fits may see."""

from __future__ import annotations

from pathlib import Path

import torch

from crossmix.artifacts.journeys import JourneysTrained
from crossmix.config import Config
from crossmix.journeys import stored
from crossmix.journeys.fitting import train as train_net
from crossmix.journeys.prepared import read_log
from crossmix.journeys.response import fit
from crossmix.journeys.told import tells
from crossmix.schema import Dataset


def train(config: Config, dataset: Path, out: Path, work: Path) -> JourneysTrained:
    """Write journeys.pt and trained.json into `out` (exists, empty).

    Args:
        dataset: what the ingest step wrote.
        work: folder of checkpoints; a training that was killed goes on from there.

    Raises:
        JourneyError: the log has no users, or nothing to learn from.
    """
    settings, ready = config.journeys, read_log(config, Dataset(dataset)).ready
    losses: dict[str, dict[int, float]] = {"response": {}, "mtorl": {}}

    def tell(name: str, epoch: int, learned: float, validated: float) -> None:
        losses[name][epoch] = validated
        print(f"{name}: epoch {epoch}, {learned:.4f} learned, {validated:.4f} validated", flush=True)

    response = fit(
        ready.table,
        ready.scaler,
        ready.learn,
        ready.validate,
        settings,
        work=work / "response",
        tell=lambda *told: tell("response", *told),
    )
    torch.manual_seed(settings.learning.seed)
    mtorl = stored.make_mtorl(response.layout, settings)
    (work / "mtorl").mkdir(parents=True, exist_ok=True)
    train_net(
        mtorl,
        ready.table,
        ready.learn,
        ready.validate,
        settings.learning,
        work=work / "mtorl",
        tell=lambda *told: tell("mtorl", *told),
    )
    stored.save(response, mtorl, out)
    row_S = ready.learn.row_S
    told = JourneysTrained(
        encoder=settings.encoder,
        users=len(set(ready.events.user_R[row_S].tolist())),
        steps=len(row_S),
        clicks=int(ready.events.clicked_R[row_S + 1].sum()),
        response_loss=tuple(losses["response"].values()),
        mtorl_loss=tuple(losses["mtorl"].values()),
        told=tells(ready.table, ready.learn, ready.validate).sentence,
    )
    told.save(out)
    return told
