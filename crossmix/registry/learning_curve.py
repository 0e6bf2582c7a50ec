"""A training's learning curve in its MLflow run: metrics `curve.*`, over environment steps."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any


def logged(client: Any, run_id: str) -> list[int]:
    """Environment steps of the points that a run has."""
    return [item.step for item in client.get_metric_history(run_id, "curve.validation_ratio")]


def log(client: Any, run_id: str, point: Mapping[str, Any]) -> None:
    """A point's numbers; those that are not finite are left out."""
    from mlflow.entities import Metric

    now = time.time_ns() // 1_000_000
    numbers = {key: point[key] for key in point if key != "env_steps" and isinstance(point[key], int | float)}
    metrics = [
        Metric(f"curve.{key}", float(number), now, int(point["env_steps"]))
        for key, number in numbers.items()
        if math.isfinite(number)
    ]
    client.log_batch(run_id, metrics)
