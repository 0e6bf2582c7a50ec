"""The fusion learns: every modality carries signal, its AUC passes a bar, and there is nothing to learn from noise."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from crossmix.config import Config, laptop
from crossmix.fusion.fit import fit
from crossmix.fusion.learn import train
from crossmix.fusion.predict import predict
from crossmix.fusion.quality import auc
from crossmix.fusion.table import read
from tests.support import fusion_toy

ROWS = 16_000


def config() -> Config:
    base = laptop()
    return replace(base, fusion=replace(base.fusion, train_rows=8_000, batch=256, epochs=3))


@pytest.mark.slow
def test_auc_passes_the_bar_and_every_modality_counts(tmp_path: Path):
    table = read(*fusion_toy.write(tmp_path, rows=ROWS, creatives=400), 30)
    module = train(config().fusion, table).module
    label = table.clicked[table.judge]
    whole = auc(label, predict(module, table).click[table.judge])
    assert whole > 0.77  # with the planted probabilities themselves it is about 0.83
    for name, masked in (
        ("image", replace(table, creatives=replace(table.creatives, has=table.creatives.has & [False, True]))),
        ("text", replace(table, creatives=replace(table.creatives, has=table.creatives.has & [True, False]))),
        ("behaviour", replace(table, events=np.zeros_like(table.events))),
    ):
        without = auc(label, predict(module, masked).click[table.judge])
        assert without < whole - 0.02, name


@pytest.mark.slow
def test_the_whole_step_is_calibrated_and_better_than_the_base_rate(tmp_path: Path):
    out = tmp_path / "out"
    out.mkdir()
    report = fit(config(), *fusion_toy.write(tmp_path, rows=ROWS), out)
    for head, bar in (("click", 0.77), ("conversion", 0.77)):
        assert report[head]["auc"] > bar
        assert report[head]["log_loss"] < 0.9 * report[head]["base_log_loss"]
        assert report[head]["ece"] < 0.05


@pytest.mark.slow
def test_shuffled_labels_teach_nothing(tmp_path: Path):
    out = tmp_path / "out"
    out.mkdir()
    report = fit(config(), *fusion_toy.write(tmp_path, rows=ROWS, shuffled=True), out)
    rows, positives = report["click"]["rows"], report["click"]["positives"]
    spread = (rows / (12 * positives * (rows - positives))) ** 0.5  # of an AUC of noise
    assert abs(report["click"]["auc"] - 0.5) < 4 * spread
    assert report["click"]["log_loss"] < 1.02 * report["click"]["base_log_loss"]
