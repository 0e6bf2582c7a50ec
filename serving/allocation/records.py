"""What is kept of an answer: its identity, and the row of the ledger.

Shapes: P platforms, S state.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from serving.allocation.task import Task
    from serving.live.champion import Serving

Array = NDArray[Any]


def override_of(override: Any) -> dict[str, Any]:
    return {key: value for key, value in override.as_dict().items() if key != "share"}


def identity(task: Task, share_P: Array, serving: Serving) -> str:
    digest = hashlib.blake2b(digest_size=12)
    parts = (task.question.campaign_id, task.arm, task.cycle, serving.bundle.digest, repr(round(task.budget, 6)))
    digest.update("\x1f".join(map(str, parts)).encode())
    digest.update(share_P.astype(np.float32).tobytes())
    return digest.hexdigest()


def row(task: Task, share_P: Array, logits_P: Array | None, answer: dict[str, Any], bundle: Any) -> dict[str, Any]:
    override = task.planned.campaign.override
    explored = answer["explored"] and logits_P is not None
    return {
        "allocation_id": answer["allocation_id"],
        "at": datetime.fromtimestamp(task.now, UTC),
        "campaign_id": answer["campaign_id"],
        "arm": task.arm,
        "cycle": task.cycle,
        "bundle": answer["bundle"],
        "budget": task.budget,
        "share": dict(zip(bundle.platforms, map(float, share_P), strict=True)),
        "state": None if logits_P is None else task.state_S.astype("<f4").tobytes(),
        "logits": [float(x) for x in logits_P] if explored and logits_P is not None else None,
        "log_density": answer["log_density"],
        "override": None if override is None else override.kind,
    }
