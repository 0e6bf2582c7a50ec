"""The fusion step: train, calibrate, judge on held-out users, predict every impression, write one folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from crossmix.artifacts import FusionReport
from crossmix.config import Config
from crossmix.fusion import calibrate
from crossmix.fusion.learn import Learned, keep_no_kernels, train
from crossmix.fusion.model import MODALITIES, Fusion
from crossmix.fusion.predict import Predicted, predict
from crossmix.fusion.quality import Floats, judge
from crossmix.fusion.table import Table, read
from crossmix.row_groups import row_groups
from crossmix.schema import DataError, Dataset

if TYPE_CHECKING:
    import pyarrow as pa


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
    data = Dataset(dataset)
    if data.meta.aggregate:
        return _nothing(out)
    keep_no_kernels()
    table = read(dataset, features, config.data.sequence_length)
    _check(table)
    learned = train(config.fusion, table)
    predicted = predict(learned.module, table)
    modalities = [name for name, there in zip(MODALITIES, table.modalities(), strict=True) if there]
    table = table.without_events()
    calibration = _calibrate(learned.module, table, predicted, config.fusion.seed)
    report = _report(config, table, learned, predicted, modalities, calibration)
    _write(out, data, table, learned.module, predicted, report)
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
        "notes": ["The log is a spend history: there is no single impression to fuse."],
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


def _calibrate(module: Fusion, table: Table, predicted: Predicted, seed: int) -> dict[str, Any]:
    """Fill `module.calibration`; returns what to tell of it."""
    rows = np.flatnonzero(table.calibrate if table.calibrate.any() else table.train).astype(np.int32)
    click = predicted.click[rows]
    calibration: dict[str, Any] = {}
    for head, logits, label in (
        ("click", click, table.clicked),
        ("conversion", joint_logit(click, predicted.conversion[rows]), table.converted),
    ):
        fitted, errors = calibrate.fit(
            logits, label[rows], table.platform[rows], table.user[rows], len(table.platforms), seed
        )
        module.calibration[head] = fitted
        calibration[head] = {"method": fitted.method, "rows": len(rows), "error_out_of_fold": errors}
    return calibration


def probabilities(
    module: Fusion, table: Table, predicted: Predicted, rows: slice | NDArray[np.bool_]
) -> tuple[Floats, Floats]:
    """Calibrated p(click) and p(conversion | click) of some rows, double precision."""
    click, platform = predicted.click[rows], table.platform[rows]
    p_click = module.calibration["click"].apply(click, platform)
    p_joint = module.calibration["conversion"].apply(joint_logit(click, predicted.conversion[rows]), platform)
    # A joint probability above its click's would be a conversion rate above 1.
    return p_click, np.clip(p_joint / p_click, 0.0, 1.0)


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
    modalities: list[str],
    calibration: dict[str, Any],
) -> dict[str, Any]:
    fusion, encoders = config.fusion, table.creatives.encoders
    behaviour = (
        f"transformer: {fusion.behaviour_layers} x {fusion.behaviour_hidden}, {fusion.behaviour_heads} heads, "
        f"last {config.data.sequence_length} interactions"
    )
    here = table.judge
    clicked, converted, platform = table.clicked[here], table.converted[here], table.platform[here]
    p_click, p_conversion = probabilities(learned.module, table, predicted, here)
    p_joint = p_click * p_conversion
    return {
        "encoders": {
            "image": (encoders["image"] or {}).get("name", "missing"),
            "text": (encoders["text"] or {}).get("name", "missing"),
            "behaviour": behaviour if "behaviour" in modalities else "missing",
        },
        "modalities": modalities,
        "click": judge(clicked, p_click),
        "conversion": judge(converted, p_joint),
        "rows": {
            "trained": learned.distinct_rows,
            "heldout": int(here.sum()),
            "available": int(table.train.sum()),
            "predicted": len(predicted.click),
        },
        "attention": predicted.attention,
        "calibration": calibration,
        "platforms": [
            {
                "platform": name,
                "rows": int(rows.sum()),
                "ctr": float(clicked[rows].mean()),
                "p_click": float(p_click[rows].mean()),
                "conversions_per_impression": float(converted[rows].mean()),
                "p_joint": float(p_joint[rows].mean()),
            }
            for index, name in enumerate(table.platforms)
            if (rows := platform == index).any()
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
    out: Path, data: Dataset, table: Table, module: Fusion, predicted: Predicted, report: dict[str, Any]
) -> None:
    import pandas as pd

    module.save(out, encoders=table.creatives.encoders)
    write_predictions(out / "predictions.parquet", data, table, module, predicted)
    pd.DataFrame(
        {
            "campaign_id": np.array(table.campaigns, dtype=object)[predicted.campaign],
            "cycle": predicted.cycle,
            "context": list(predicted.context),
        }
    ).to_parquet(out / "contexts.parquet", index=False)
    FusionReport.of(report).save(out)


def write_predictions(path: Path, data: Dataset, table: Table, module: Fusion, predicted: Predicted) -> None:
    """Write predictions.parquet in the dataset's order, its names read from there again, batch by batch."""
    import pyarrow as pa

    start = 0
    with row_groups(path, _prediction_schema()) as file:
        for batch in data.batches("impressions", ["impression_id"]):
            rows = slice(start, start + batch.num_rows)
            p_click, p_conversion = (p.astype(np.float32) for p in probabilities(module, table, predicted, rows))
            names = batch.column("impression_id").cast(pa.string())
            file.add([names, pa.array(p_click), pa.array(p_conversion), pa.array(table.train[rows])])
            start += batch.num_rows


def _prediction_schema() -> pa.Schema:
    """As pandas describes such a frame: the file is the one that it would write."""
    import pandas as pd
    import pyarrow as pa

    number = np.zeros(1, dtype=np.float32)
    frame = pd.DataFrame({"impression_id": ["i"], "p_click": number, "p_conversion": number, "trained": [True]})
    return pa.Table.from_pandas(frame, preserve_index=False).schema
