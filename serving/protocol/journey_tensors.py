"""Questions about journeys as V2 tensors: what they become of V1, and their names; pure.

Inputs, a row per question (B), a column per exposure (T, the earliest first; "" pads): campaign_id BYTES [B]; channel
BYTES, clicked BOOL, cost and seconds_ago FP64 [B, T]; where given user_id BYTES [B] ("": none), costs FP64 [B, C] (NaN:
the log's mean) and converted_seconds_ago FP64 [B, T] (NaN: no conversion), and of the campaign budget_left and lambda
FP64 [B] (NaN: not said) and top INT64 [B] (-1: not said). With user_id all inputs of exposures may be left out
together: journeys are then those that whoever answers knows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossmix.journeys import later
from serving.allocation.question import QuestionError, text
from serving.protocol import journey_terms
from serving.protocol.journey_request import CONVERTED, STEP

BYTES, BOOL, NUMBER, WHOLE = ("BYTES", "OSU"), ("BOOL", "b"), ("FP64", "fiu"), ("INT64", "iu")
"""Datatype, and the kinds of numpy that serve for it."""
KINDS = {
    "campaign_id": BYTES,
    "user_id": BYTES,
    "channel": BYTES,
    "clicked": BOOL,
    "cost": NUMBER,
    "seconds_ago": NUMBER,
    "costs": NUMBER,
    CONVERTED: NUMBER,
    "budget_left": NUMBER,
    "lambda": NUMBER,
    "top": WHOLE,
}
REQUIRED = ("campaign_id", *STEP)


def instances(inputs: Mapping[str, Any], channels: Sequence[str]) -> list[dict[str, Any]]:
    """V1's instances; what they say is checked as V1's is.

    Args:
        inputs: arrays by name.
        channels: names of the bundle that answers, in its order.

    Raises:
        QuestionError: an input that is unknown, missing, or of another datatype or shape.
    """
    for name in inputs:
        if name not in KINDS:
            why = later.told(name) or "unknown input"
            raise QuestionError(f"inputs.{name[:80]}: {why}; use {', '.join(KINDS)}")
    sent = "user_id" not in inputs or any(name in inputs for name in (*STEP, CONVERTED))
    for name in REQUIRED if sent else ("campaign_id",):
        if name not in inputs:
            raise QuestionError(f"inputs.{name}: missing; send all of {', '.join(REQUIRED)}")
    rows = len(inputs["campaign_id"]) if np.ndim(inputs["campaign_id"]) else 0
    if not rows:
        raise QuestionError("inputs.campaign_id: no question; send a name each, [B]")
    steps = np.shape(inputs["channel"])[1] if sent and np.ndim(inputs["channel"]) == 2 else 0
    shapes: dict[str, tuple[int, ...]] = dict.fromkeys((*STEP, CONVERTED), (rows, steps))
    shapes |= dict.fromkeys(("campaign_id", "user_id", *journey_terms.FIELDS), (rows,))
    shapes["costs"] = (rows, len(channels))
    read = {name: _checked(name, inputs[name], shapes[name]) for name in inputs}
    return [_instance(read, row, channels) for row in range(rows)]


def input_types(channels: int) -> list[dict[str, Any]]:
    """Inputs, for the model's metadata."""
    shapes = {"costs": [-1, channels]} | {name: [-1] for name in ("campaign_id", "user_id", *journey_terms.FIELDS)}
    return [
        {"name": name, "datatype": datatype, "shape": shapes.get(name, [-1, -1])}
        for name, (datatype, _) in KINDS.items()
    ]


def _checked(name: str, raw: Any, shape: tuple[int, ...]) -> NDArray[Any]:
    array, (datatype, kinds) = np.asarray(raw), KINDS[name]
    if array.dtype.kind not in kinds:
        sent = "BYTES" if array.dtype.kind in BYTES[1] else array.dtype
        raise QuestionError(f"inputs.{name}: {sent}; send {datatype}")
    if array.shape != shape:
        raise QuestionError(
            f"inputs.{name}: shape {list(array.shape)}; send {list(shape)}, as the other inputs have it"
        )
    return array


def _instance(read: Mapping[str, NDArray[Any]], row: int, channels: Sequence[str]) -> dict[str, Any]:
    given = zip(channels, read["costs"][row], strict=True) if "costs" in read else ()
    return {
        "campaign_id": text(read["campaign_id"][row], "campaign_id"),
        "user_id": (text(read["user_id"][row], "user_id") or None) if "user_id" in read else None,
        "journey": _journey(read, row) if "channel" in read else None,
        "costs": {name: float(cost) for name, cost in given if not np.isnan(cost)},
        **_terms(read, row),
    }


def _terms(read: Mapping[str, NDArray[Any]], row: int) -> dict[str, Any]:
    said: dict[str, Any] = {
        name: float(read[name][row])
        for name in ("budget_left", "lambda")
        if name in read and not np.isnan(read[name][row])
    }
    if "top" in read and read["top"][row] != -1:
        said["top"] = int(read["top"][row])
    return said


def _journey(read: Mapping[str, NDArray[Any]], row: int) -> list[dict[str, Any]]:
    journey = []
    for at, raw in enumerate(read["channel"][row]):
        if not (name := text(raw, "channel")):
            continue
        step = {"channel": name, "clicked": bool(read["clicked"][row, at])}
        step |= {key: float(read[key][row, at]) for key in ("cost", "seconds_ago")}
        if CONVERTED in read and not np.isnan(read[CONVERTED][row, at]):
            step[CONVERTED] = float(read[CONVERTED][row, at])
        journey.append(step)
    return journey
