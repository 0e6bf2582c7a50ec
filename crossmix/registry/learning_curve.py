"""A training's learning curve in its MLflow run: metrics `curve.*`, over environment steps."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
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


@contextmanager
def live(
    client: Callable[[], Any], start: Callable[[], str], uri: str
) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """What takes a point and logs it; a registry that cannot be reached is told once and stops nothing.

    Args:
        client: MLflow's, asked for where it is needed.
        start: begins the run, or finds it again; its id.
        uri: of the registry, for the message.
    """
    away = False

    def attempt(call: Callable[[], Any]) -> Any:
        nonlocal away
        if away:
            return None
        try:
            return call()
        except Exception as error:  # MLflow's stores raise their own kinds each
            away = True
            logging.getLogger(__name__).warning("registry %s: the learning curve is not live (%s)", uri, error)
            return None

    run_id = attempt(start)
    known = set(attempt(lambda: logged(client(), run_id)) or ())

    def listen(point: Mapping[str, Any]) -> None:
        if point["env_steps"] not in known:
            known.add(point["env_steps"])
            attempt(lambda: log(client(), run_id, point))

    try:
        yield listen
    except BaseException:
        attempt(lambda: client().set_terminated(run_id, "FAILED"))
        raise
