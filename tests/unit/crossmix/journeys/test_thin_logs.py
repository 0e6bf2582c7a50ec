"""Logs with hardly anything in them end in gates of insufficient data or in a sentence, never in a traceback."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from crossmix.artifacts import GateTable
from crossmix.config import load
from crossmix.journeys import step_gate, step_train
from crossmix.journeys.log import JourneyError, of_frame
from crossmix.journeys.prepared import Log, prepare
from crossmix.journeys.windows import TEST, TRAIN, VALIDATION
from tests.support.journeys import frame

CONFIG = load(
    "laptop",
    [
        *("task=journeys", "data.source=criteo", "data.criteo_channel=cat8", "data.path=log.csv"),
        *("journeys.encoder=gru", "journeys.learning.width=4", "journeys.learning.epochs=1"),
        *("journeys.gates.bootstrap=100", "journeys.allocation.rounds=2"),
    ],
)
"""Small, and of a log without a world."""
PARTS = {TRAIN: 40, VALIDATION: 15, TEST: 15}


def judged(monkeypatch: pytest.MonkeyPatch, folder: Path, log: pd.DataFrame, parts: dict[int, int]) -> GateTable:
    """Both steps on these exposures, users parted in order."""
    events = of_frame(log)
    part_U = np.repeat(list(parts), list(parts.values()))[: len(events.users)]
    campaign = np.where(np.arange(len(events)) % 2 == 0, "one", "two")
    held_U = part_U != TRAIN

    def read(*_: object) -> Log:
        nothing_R = np.full(len(events), np.nan)
        return Log(prepare(events, part_U, CONFIG.journeys), campaign, held_U, nothing_R, "EUR", "0" * 64)

    for step in (step_train, step_gate):
        monkeypatch.setattr(step, "read_log", read)
    for name in ("dataset", "train", "gate", "work"):
        (folder / name).mkdir()
    step_train.train(CONFIG, folder / "dataset", folder / "train", folder / "work")
    table = step_gate.judge(CONFIG, folder / "dataset", folder / "train", folder / "gate")
    for name in ("journeys.json", "figures.json", "gates.json"):
        text = (folder / "gate" / name).read_text()
        json.loads(text, parse_constant=no_number)
    return table


def no_number(constant: str) -> None:
    """NaN and the infinities."""
    raise AssertionError(f"a file holds {constant}")


def users(log: pd.DataFrame, numbers: range) -> pd.Series:
    """Which rows are of these users."""
    return log["user_id"].isin([f"u{number:03d}" for number in numbers])


FEW = 70
TRAINED, TESTED = range(40), range(55, 70)


def unsold(log: pd.DataFrame) -> pd.DataFrame:
    return log.assign(converted=False, conversion_timestamp=pd.NaT, revenue=0.0)


def unclicked_in_test(log: pd.DataFrame) -> pd.DataFrame:
    return unsold(log).assign(clicked=log["clicked"] & ~users(log, TESTED))


@pytest.mark.parametrize(
    ("thin", "told"),
    [
        (unsold, "0 conversions"),
        (unclicked_in_test, "0 clicks"),
        (lambda log: log.assign(platform="a"), "are needed"),
        (lambda log: log[~users(log, range(56, 70))], "are needed"),
    ],
    ids=["no conversion", "no click of test users", "one channel", "one test user"],
)
def test_a_thin_log_ends_in_insufficient_data(
    thin: object, told: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    table = judged(monkeypatch, tmp_path, thin(frame(FEW, 1)), PARTS)  # type: ignore[operator]
    rows = [gate for gate in table.gates if gate.name.startswith("journey.response")]
    assert len(rows) == 5
    assert any(told in gate.detail and gate.verdict == "insufficient data" for gate in rows)
    assert all(gate.value is None or np.isfinite(gate.value) for gate in table.gates)
    assert not table.passed


@pytest.mark.parametrize(
    ("thin", "sentence"),
    [
        (lambda log: log.assign(clicked=False, converted=False), "clicked: no training or no validation user clicked"),
        (lambda log: log[~users(log, range(1, 40))], "user_id: 1 training users"),
        (lambda log: log[~users(log, TRAINED)], "no training user has two exposures"),
        (lambda log: log[~users(log, TESTED)], "no test user has two exposures"),
    ],
    ids=["no click", "one training user", "no training user", "no test user"],
)
def test_a_log_that_tells_nothing_is_refused_in_a_sentence(
    thin: object, sentence: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    log = thin(frame(FEW, 1))  # type: ignore[operator]
    kept = {int(name[1:]) for name in log["user_id"]}
    parts, begin = {}, 0
    for part, count in PARTS.items():
        parts[part] = len(kept & set(range(begin, begin + count)))
        begin += count
    with pytest.raises(JourneyError, match=sentence):
        judged(monkeypatch, tmp_path, log, parts)
