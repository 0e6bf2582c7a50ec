"""What has to be said of held-out weeks: platforms that began in them, and money in them that answered otherwise.

Of a platform that began there the fit of the time before them saw nothing: what it says of it is borrowed from like
platforms, and so is what those weeks say for or against a change that moves its budget. The fit that answers has
learned it from the platform's own days.

Shapes: C campaigns, P platforms, T cycles.
"""

from __future__ import annotations

import numpy as np

from crossmix.artifacts.decided import Contradiction
from crossmix.evaluate.decision.backtest import date
from crossmix.evaluate.decision.judged import LEAST_BLOCKS, Judged
from crossmix.market.fit.log import Log
from crossmix.market.model import Market


def began(fitted: Market, served: Market, log: Log) -> tuple[tuple[str | None, ...], ...]:
    """ISO 8601 date of the first cycle with spend of what began within the held-out weeks, by campaign and platform.

    Args:
        fitted: on the time before them.
        served: on all of the history.

    Returns:
        (C, P); `None`: it began before, or was never tried.
    """
    since_CP = (fitted.untried & ~served.untried).numpy()
    if not since_CP.any():
        return tuple((None,) * since_CP.shape[1] for _ in range(len(since_CP)))
    train = fitted.path["requests"].shape[0] if fitted.path else log.train_cycles
    spent_TCP = log.totals()["spend"][train:] > 0
    first_CP = train + np.argmax(spent_TCP, axis=0)
    return tuple(
        tuple(date(log, int(first)) if since else None for first, since in zip(*row, strict=True))
        for row in zip(first_CP, since_CP, strict=True)
    )


def contradiction(one: Judged) -> Contradiction | None:
    """Money in held-out weeks that answered otherwise (`Judged.otherwise`), with the platform on which the change loses
    most by it; `None`: none did, or there are too few weeks."""
    if one.otherwise is None or len(one.realised_W) < LEAST_BLOCKS:
        return None
    lost_P = one.answered_P - one.earlier_then_P
    p = int(np.argmin(lost_P))
    mean, high = one.otherwise
    since, until = one.span
    return Contradiction(
        since=since,
        until=until,
        platform=one.change.platforms[p],
        expected=float(one.earlier_then_P[p] - one.earlier_now_P[p]),
        came=float(one.answered_P[p] - one.earlier_now_P[p]),
        gain=mean,
        at_most=high,
    )


__all__ = ["began", "contradiction"]
