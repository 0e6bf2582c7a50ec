"""The fusion step: train, calibrate, judge on held-out users, predict every impression, write one folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossmix.artifacts import FusionReport
from crossmix.config import Config
from crossmix.fusion import calibrate
from crossmix.fusion.learn import Learned, train
from crossmix.fusion.model import MODALITIES, Fusion
from crossmix.fusion.predict import Predicted, predict
from crossmix.fusion.quality import Floats, judge
from crossmix.fusion.table import Table, read
from crossmix.schema import DataError, Dataset


def fit(config: Config, dataset: Path, features: Path, out: Path) -> dict[str, Any]:
    """Fit the fusion to a dataset and write the step's folder.

    Args:
        config: `fusion` and `data.sequence_length` are read.
        dataset: folder of ingest.
        features: folder of the features step (embeddings/).
        out: an empty folder; receives fusion.safetensors, fusion.json, predictions.parquet, contexts.parquet,
            report.json.

    Returns:
        report.json: encoders, modalities, quality of both heads on held-out users of validation and test period
        (conversion judged as p_click x p_conv over all impressions), rows, attention, calibration, curve, notes.

    Raises:
        DataError: a file, column or row does not fit, or nothing is left to train on.
    """
    if Dataset(dataset).meta.aggregate:
        return _nothing(out)
    table = read(dataset, features, config.data.sequence_length)
    _check(table)
    learned = train(config.fusion, table)
    predicted = predict(learned.module, table)
    p_click, p_joint, calibration = _calibrated(learned.module, table, predicted, config.fusion.seed)
    # A joint probability above its click's would be a conversion rate above 1.
    p_conversion = np.clip(p_joint / p_click, 0.0, 1.0)
    report = _report(config, table, learned, predicted, p_click, p_click * p_conversion, calibration)
    _write(out, table, learned.module, predicted, p_click, p_conversion, report)
    return report


def _nothing(out: Path) -> dict[str, Any]:
    """A spend history has no impression, so nothing to fuse: empty tables, and a report that says so."""
    import pandas as pd

    pd.DataFrame({"impression_id": [], "p_click": [], "p_conversion": [], "trained": []}).to_parquet(
        out / "predictions.parquet", index=False
    )
    pd.DataFrame({"campaign_id": [], "cycle": [], "context": []}).to_parquet(out / "contexts.parquet", index=False)
    report: dict[str, Any] = {
        "encoders": dict.fromkeys(MODALITIES, "missing"),
        "modalities": [],
        "click": None,
        "conversion": None,
        "rows": {"trained": 0, "heldout": 0, "available": 0, "predicted": 0},
        "attention": {},
        "calibration": {},
        "platforms": [],
        "curve": [],
        "notes": ["The log is a spend history: there is no impression to fuse, and no context in the state."],
    }
    FusionReport.of(report).save(out)
    return report


def _check(table: Table) -> None:
    """Raise `DataError` where there is nothing to learn from."""
    if not table.train.any():
        raise DataError("impressions.split: no training row of a user that is not held out; lower data.holdout_users")
    for name, flags in (("clicked", table.clicked), ("converted", table.converted)):
        events = int(flags[table.train].sum())
        if name == "clicked" and events in (0, int(table.train.sum())):
            raise DataError(
                f"impressions.{name}: {events} of {int(table.train.sum())} training rows; a click model needs both "
                "kinds, use a longer log"
            )


def _calibrated(module: Fusion, table: Table, predicted: Predicted, seed: int) -> tuple[Floats, Floats, dict[str, Any]]:
    """Calibrated p_click and p_click x p_conv of all rows; fills `module.calibration`, returns what to tell."""
    rows = table.calibrate if table.calibrate.any() else table.train
    probability: dict[str, Floats] = {}
    calibration: dict[str, Any] = {}
    for head, logits, label in (
        ("click", predicted.click, table.clicked),
        ("conversion", joint_logit(predicted.click, predicted.conversion), table.converted),
    ):
        fitted, errors = calibrate.fit(
            logits[rows], label[rows], table.platform[rows], table.user[rows], len(table.platforms), seed
        )
        module.calibration[head] = fitted
        probability[head] = fitted.apply(logits, table.platform)
        calibration[head] = {"method": fitted.method, "rows": int(rows.sum()), "error_out_of_fold": errors}
    return probability["click"], probability["conversion"], calibration


def joint_logit(click: NDArray[np.float32], conversion: NDArray[np.float32]) -> Floats:
    """Logit of p_click x p_conv from both heads' logits: ln p - ln(1 - p), stable for rare events."""
    a, b = click.astype(np.float64), conversion.astype(np.float64)
    # p = 1 / ((1 + e^-a)(1 + e^-b)), so (1 - p) / p = e^-a + e^-b + e^-(a+b).
    return -np.logaddexp(np.logaddexp(-a, -b), -(a + b))


def _report(
    config: Config,
    table: Table,
    learned: Learned,
    predicted: Predicted,
    p_click: Floats,
    p_joint: Floats,
    calibration: dict[str, Any],
) -> dict[str, Any]:
    fusion, encoders = config.fusion, table.creatives.encoders
    modalities = [name for name, there in zip(MODALITIES, table.present().T, strict=True) if there.any()]
    behaviour = (
        f"transformer: {fusion.behaviour_layers} x {fusion.behaviour_hidden}, {fusion.behaviour_heads} heads, "
        f"last {config.data.sequence_length} interactions"
    )
    here = table.judge
    return {
        "encoders": {
            "image": (encoders["image"] or {}).get("name", "missing"),
            "text": (encoders["text"] or {}).get("name", "missing"),
            "behaviour": behaviour if "behaviour" in modalities else "missing",
        },
        "modalities": modalities,
        "click": judge(table.clicked[here], p_click[here]),
        "conversion": judge(table.converted[here], p_joint[here]),
        "rows": {
            "trained": learned.distinct_rows,
            "heldout": int(here.sum()),
            "available": int(table.train.sum()),
            "predicted": len(p_click),
        },
        "attention": predicted.attention,
        "calibration": calibration,
        "platforms": [
            {
                "platform": name,
                "rows": int(rows.sum()),
                "ctr": float(table.clicked[rows].mean()),
                "p_click": float(p_click[rows].mean()),
                "conversions_per_impression": float(table.converted[rows].mean()),
                "p_joint": float(p_joint[rows].mean()),
            }
            for index, name in enumerate(table.platforms)
            if (rows := here & (table.platform == index)).any()
        ],
        "curve": learned.curve,
        "notes": _notes(config, table, learned, modalities),
    }


def _notes(config: Config, table: Table, learned: Learned, modalities: list[str]) -> list[str]:
    notes = []
    absent = [name for name in MODALITIES if name not in modalities]
    if absent:
        notes.append(
            f"The log has no {' and no '.join(absent)}: masked, the fused context rests on "
            f"{' and '.join(modalities) or 'a learned constant and the platform'} alone."
        )
    available = int(table.train.sum())
    if config.fusion.train_rows < available:
        notes.append(
            f"Each epoch saw {config.fusion.train_rows:,} of {available:,} training rows "
            f"({learned.distinct_rows:,} distinct ones in all)."
        )
    if not table.calibrate.any():
        notes.append("The validation period has no row to calibrate on: the heads are calibrated on training rows.")
    unclicked = int((table.converted & ~table.clicked).sum())
    if unclicked:
        notes.append(
            f"{unclicked:,} of {int(table.converted.sum()):,} conversions are on impressions without a click: "
            "p_conversion is the calibrated chance of a conversion over that of a click, at most 1."
        )
    scarce = int(table.converted[table.judge].sum())
    if scarce < calibrate.LEAST_POSITIVES:
        notes.append(f"Only {scarce} conversions of held-out users: the conversion head's figures are rough.")
    return notes


def _write(
    out: Path,
    table: Table,
    module: Fusion,
    predicted: Predicted,
    p_click: Floats,
    p_conversion: Floats,
    report: dict[str, Any],
) -> None:
    import pandas as pd

    module.save(out, encoders=table.creatives.encoders)
    pd.DataFrame(
        {
            "impression_id": table.impression_id,
            "p_click": p_click.astype(np.float32),
            "p_conversion": p_conversion.astype(np.float32),
            "trained": table.train,
        }
    ).to_parquet(out / "predictions.parquet", index=False)
    pd.DataFrame(
        {
            "campaign_id": np.array(table.campaigns, dtype=object)[predicted.campaign],
            "cycle": predicted.cycle,
            "context": list(predicted.context),
        }
    ).to_parquet(out / "contexts.parquet", index=False)
    FusionReport.of(report).save(out)
