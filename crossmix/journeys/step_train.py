"""The train step of task `journeys`: the response model, and MTORL beside it, from users that fits may see."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from crossmix.artifacts.journeys import JourneysTrained
from crossmix.config import Config
from crossmix.journeys import seen, stored
from crossmix.journeys.learn import train as learn
from crossmix.journeys.mtorl import Mtorl
from crossmix.journeys.prepared import read_log
from crossmix.journeys.response import fit
from crossmix.journeys.told import tells
from crossmix.schema import Dataset


def train(config: Config, dataset: Path, out: Path, work: Path) -> JourneysTrained:
    """Write journeys.json, journeys.safetensors, users_seen.npz and journeys_trained.json into `out` (exists, empty).

    Args:
        dataset: what the ingest step wrote.
        work: folder of checkpoints; a training that was killed goes on from there.

    Raises:
        JourneyError: the log has no users, or nothing to learn from.
    """
    settings, ready = config.journeys, read_log(config, Dataset(dataset)).ready

    def told(name: str) -> Callable[[int, float, float], None]:
        def tell(epoch: int, learned: float, validated: float) -> None:
            print(f"{name}: epoch {epoch}, {learned:.4f} learned, {validated:.4f} validated", flush=True)

        return tell

    response, curve = fit(
        ready.table, ready.scaler, ready.learn, ready.validate, settings,
        part_U=ready.part_U, work=work / "response", tell=told("response"), label="response",
    )  # fmt: skip
    mtorl, other = learn(
        lambda: stored.make_mtorl(response.layout, settings), ready.table, ready.learn, ready.validate,
        settings.learning, work=work / "mtorl", tell=told("MTORL"), label="MTORL",
    )  # fmt: skip
    assert isinstance(mtorl, Mtorl)
    stored.save(response, mtorl, out)
    seen.used(ready).save(out)
    row_S = ready.learn.row_S
    trained = JourneysTrained(
        encoder=settings.encoder,
        users=len(set(ready.events.user_R[row_S].tolist())),
        steps=len(row_S),
        clicks=int(ready.events.clicked_R[row_S + 1].sum()),
        response_loss=curve.validation,
        mtorl_loss=other.validation,
        told=tells(ready.table, ready.learn, ready.validate).sentence,
    )
    trained.save(out)
    return trained
