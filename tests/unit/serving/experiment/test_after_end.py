"""What is said of an experiment that has ended."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np

from crossmix.ledger import tables
from serving.experiment.compare import series
from serving.experiment.verdict import status
from tests.support.experiments import DAY, START, assign, deliver, make_store, paired_days


def test_after_an_end_it_is_said_what_was_known_then_and_nothing_more_is_asked_for(tmp_path: Path) -> None:
    """Two days and ten users, then a person ended it; weeks later the sentences are the same."""
    store = make_store(tmp_path)
    deliver(store, paired_days([1.0] * 2, [1.0] * 2))
    assign(store, policy=7, control=3)
    with store.change() as connection:
        ended = {"ended": START + 2 * DAY, "ended_by": "anna", "reason": "a holiday"}
        connection.execute(tables.experiments.update().values(**ended))
    for days in (2, 30):
        found = status(store, "first", START + days * DAY + timedelta(hours=1))
        line = "Insufficient data after 2 of 14 cycles: 2 finished cycles with feedback by its end; 3 were needed."
        assert found["verdict"]["line"] == f"{line} It has ended: a holiday."
        assert found["lifts"]["cpa"]["reason"] == "2 finished cycles with feedback by its end; 3 were needed"
        assert found["sample_ratio"]["reason"] == "10 users by its end; 50 were needed."
    nothing = series(np.zeros((1, 2, 5)), np.ones((1, 2, 5)), np.ones((1, 5)), over=True)
    assert nothing == "the policy arm's numerator was 0 in all 5 cycles until its end"
    gap = np.array([[[1.0, 0, 0, 0, 1, 1]] * 2])
    missing = series(gap, np.ones((1, 2, 6)), np.ones((1, 6)), over=True)
    assert missing == "an arm had nothing to compare in 3 of 6 cycles on end, until the experiment's end"
