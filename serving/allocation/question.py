"""A question to a predictor: parsed from the V1 protocol's JSON or the V2 protocol's tensors, and checked.

V1 instance: {"campaign_id", and any of "arm", "cycle", "budget", "limits": {platform: {min, max, step, freeze}},
"state": S numbers or {statistic: number}, "explore": bool}. V2 inputs, a row per question: `campaign_id` BYTES [B];
any of `arm` BYTES [B], `cycle` INT64 [B], `budget` FP64 [B], `limits` BYTES [B] (JSON as above), `state` FP32 [B, S],
`explore` BOOL [B].

Shapes: B batch, S state of the bundle's layout (640 of the budget split's).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from crossmix.allocate import LimitChange
from crossmix.state import Layout
from serving.fields import shown

Array = NDArray[Any]
MOST_QUESTIONS = 512
"""They are answered on the event loop: about a quarter of a second's work (1,024 of them took 0.51 s)."""
MOST_CYCLE = 2**31 - 1
FIELDS = ("campaign_id", "arm", "cycle", "budget", "limits", "state", "explore")
_NUMBERS = frozenset((int, float))
_NO_CHANGE = LimitChange()


class QuestionError(ValueError):
    """A question that cannot be answered; the message names field, value and remedy."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked about one campaign's cycle."""

    campaign_id: str
    where: str
    """How messages name it, as instances[0]."""
    arm: str | None = None
    cycle: int | None = None
    """`None`: the one that runs now."""
    budget: float | None = None
    """Of the arm's cycle, currency; `None`: the arm's part of the plan, as it is paced."""
    change: LimitChange = _NO_CHANGE
    state_S: Array | None = None
    """A full state, (S,) float32, instead of the feature store's."""
    statistics: Mapping[str, float] = field(default_factory=dict)
    """Statistics that differ from the feature store's, by name of the layout."""
    explore: bool | None = None
    """Whether the policy explores; `None`: as configured, and not with a full state."""

    @property
    def changes_limits(self) -> bool:
        return self.change is not _NO_CHANGE

    @property
    def plain(self) -> bool:
        """It asks for what holds for everybody, so that the answer can be kept."""
        return (
            self.budget is None
            and not self.changes_limits
            and self.state_S is None
            and not self.statistics
            and self.explore is None
        )


def of_instances(payload: Any, layout: Layout, also: Sequence[str] = ()) -> list[Question]:
    """Questions of a V1 request's body.

    Args:
        layout: of the bundle that answers.
        also: further fields that the caller reads itself.

    Raises:
        QuestionError: naming the instance and the field.
    """
    asked = instances(payload, '{"campaign_id": ...}')
    return [_of_instance(one, layout, f"instances[{row}]", also) for row, one in enumerate(asked)]


def instances(payload: Any, example: str, most: int = MOST_QUESTIONS) -> list[Mapping[str, Any]]:
    """Objects of a V1 body.

    Args:
        example: an instance, for the message.
        most: instances of a request.

    Raises:
        QuestionError: there are none or too many, or one is no object.
    """
    asked = payload.get("instances") if isinstance(payload, Mapping) else None
    if not isinstance(asked, list) or not asked:
        raise QuestionError(f'instances: missing or empty; send {{"instances": [{example}]}}')
    _check_number("instances", len(asked), most)
    for row, one in enumerate(asked):
        if not isinstance(one, Mapping):
            raise QuestionError(f"instances[{row}]: {shown(one)}; send an object, as {example}")
    return asked


def _of_instance(raw: Mapping[str, Any], layout: Layout, where: str, also: Sequence[str]) -> Question:
    known_fields(raw, (*FIELDS, *also), where)
    campaign = raw.get("campaign_id")
    if not isinstance(campaign, str) or not campaign:
        raise QuestionError(f"{where}.campaign_id: {shown(campaign)}; name a campaign")
    arm, cycle, budget, explore = (raw.get(name) for name in ("arm", "cycle", "budget", "explore"))
    if arm is not None and not isinstance(arm, str):
        raise QuestionError(f"{where}.arm: {shown(arm)}; use policy, control or canary")
    if explore is not None and not isinstance(explore, bool):
        raise QuestionError(f"{where}.explore: {shown(explore)}; use true or false")
    state_S, statistics = _state(raw.get("state"), layout, where)
    limits = raw.get("limits")
    return Question(
        campaign,
        where,
        arm,
        _cycle(cycle, where),
        _budget(budget, where),
        _NO_CHANGE if limits is None else _limits(limits, where),
        state_S,
        statistics,
        explore,
    )


def of_tensors(inputs: Mapping[str, Array], layout: Layout) -> list[Question]:
    """Questions of a V2 request's inputs: name to array, BYTES as objects.

    Args:
        layout: of the bundle that answers.

    Raises:
        QuestionError: naming the input.
    """
    for name in inputs:
        if name not in FIELDS:
            raise QuestionError(f"inputs.{name}: unknown input; use {', '.join(FIELDS)}")
    if "campaign_id" not in inputs:
        raise QuestionError("inputs.campaign_id: missing; send the campaigns' names as BYTES, one per question")
    rows = inputs["campaign_id"].size
    _check_number("inputs.campaign_id", rows)
    columns: dict[str, Array] = {}
    for name, kinds in _KINDS.items():
        if name not in inputs:
            continue
        column = np.asarray(inputs[name])
        if column.dtype.kind not in kinds:
            raise QuestionError(f"inputs.{name}: datatype {column.dtype}; send {_DATATYPE[name]}")
        want = (rows, layout.size) if name == "state" else (rows,)
        if column.size != math.prod(want) or (name == "state" and column.shape != want):
            raise QuestionError(f"inputs.{name}: shape {list(column.shape)}; want {list(want)}, a row per question")
        columns[name] = column.reshape(want)
    texts = {
        name: [text(cell, name) for cell in columns[name]]
        for name in ("campaign_id", "arm", "limits")
        if name in columns
    }
    states = columns.get("state")
    if states is not None:
        states = np.ascontiguousarray(states, np.float32)
        _check_finite(states, "inputs")
    questions = []
    for row in range(rows):
        where = f"inputs[{row}]"
        if not texts["campaign_id"][row]:
            raise QuestionError(f"{where}.campaign_id: it is empty; name a campaign")
        written = texts["limits"][row] if "limits" in texts else ""
        questions.append(
            Question(
                texts["campaign_id"][row],
                where,
                (texts["arm"][row] or None) if "arm" in texts else None,
                _cycle(int(columns["cycle"][row]), where) if "cycle" in columns else None,
                _budget(float(columns["budget"][row]), where) if "budget" in columns else None,
                _limits(_json(written, where), where) if written else _NO_CHANGE,
                None if states is None else states[row],
                {},
                bool(columns["explore"][row]) if "explore" in columns else None,
            )
        )
    return questions


_KINDS = {
    "campaign_id": "OSU",
    "arm": "OSU",
    "cycle": "iu",
    "budget": "f",
    "limits": "OSU",
    "state": "f",
    "explore": "b",
}
_DATATYPE = {
    **dict.fromkeys(("campaign_id", "arm", "limits"), "BYTES"),
    "cycle": "INT64",
    "budget": "FP64",
    "state": "FP32",
    "explore": "BOOL",
}


def _check_number(name: str, rows: int, most: int = MOST_QUESTIONS) -> None:
    if not 1 <= rows <= most:
        raise QuestionError(f"{name}: {rows:,} questions; send 1 to {most:,} a request")


def _cycle(raw: Any, where: str) -> int | None:
    if raw is None:
        return None
    if isinstance(raw, bool) or not isinstance(raw, int) or not 0 <= raw <= MOST_CYCLE:
        raise QuestionError(f"{where}.cycle: {shown(raw)}; give a whole number from 0, or leave it out for now's")
    return raw


def _budget(raw: Any, where: str) -> float | None:
    if raw is None:
        return None
    if isinstance(raw, bool) or not isinstance(raw, int | float) or not (math.isfinite(raw) and 0 < raw <= 1e15):
        raise QuestionError(f"{where}.budget: {shown(raw)}; give an amount above 0, or leave it out for the plan's")
    return float(raw)


def _limits(raw: Any, where: str) -> LimitChange:
    if not isinstance(raw, Mapping):
        raise QuestionError(f'{where}.limits: {shown(raw)}; send {{"search": {{"min": 0.1, "max": 0.4}}}}')
    bounds: dict[str, dict[str, float]] = {"min": {}, "max": {}, "step": {}}
    freeze: dict[bool, set[str]] = {True: set(), False: set()}
    for platform, change in raw.items():
        if not isinstance(change, Mapping):
            raise QuestionError(f"{where}.limits.{platform}: {shown(change)}; send an object of min, max, step, freeze")
        for name, value in change.items():
            if name == "freeze" and isinstance(value, bool):
                freeze[value].add(platform)
            elif name in bounds and isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1:
                bounds[name][platform] = float(value)
            else:
                known = "a share from 0 to 1" if name in bounds else "true or false" if name == "freeze" else None
                remedy = f"give {known}" if known else "use min, max, step, freeze"
                raise QuestionError(f"{where}.limits.{platform}.{name}: {shown(value)}; {remedy}")
    return LimitChange(bounds["min"], bounds["max"], bounds["step"], frozenset(freeze[True]), frozenset(freeze[False]))


def _state(raw: Any, layout: Layout, where: str) -> tuple[Array | None, Mapping[str, float]]:
    if raw is None:
        return None, {}
    if isinstance(raw, Mapping):
        for name, value in raw.items():
            if name not in layout.fields:
                raise QuestionError(f"{where}.state.{name}: no statistic of the layout; see state_layout.json")
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                raise QuestionError(f"{where}.state.{name}: {shown(value)}; give a finite number")
        return None, {name: float(value) for name, value in raw.items()}
    if not isinstance(raw, list) or len(raw) != layout.size:
        length = f"{len(raw)} numbers" if isinstance(raw, list) else shown(raw)
        raise QuestionError(f"{where}.state: {length}; send {layout.size} numbers, or an object of statistics by name")
    if not _NUMBERS.issuperset(map(type, raw)):
        column = next(index for index, value in enumerate(raw) if type(value) not in _NUMBERS)
        raise QuestionError(f"{where}.state[{column}]: {shown(raw[column])}; send {layout.size} numbers")
    try:
        values = np.array(raw, np.float64)
    except OverflowError:
        raise QuestionError(f"{where}.state: a number is too large; give finite numbers of a sane size") from None
    _check_finite(values[None], where)
    return values.astype(np.float32), {}


def _check_finite(states_BS: Array, where: str) -> None:
    # Beyond float32's range a number would become infinite on the way to the policy.
    # The comparison is false for NaN too.
    good = np.abs(states_BS) < 1e30
    if not good.all():
        row, column = np.argwhere(~good)[0].tolist()
        raise QuestionError(f"{where}.state[{column}]: {states_BS[row, column]}; give finite numbers of a sane size")


def _json(text: str, where: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        raise QuestionError(f"{where}.limits: {text[:80]!r} is not JSON; send an object by platform") from None


def text(cell: Any, name: str) -> str:
    """A cell of an input of datatype BYTES as text; raises `QuestionError`."""
    try:
        return cell.decode() if isinstance(cell, bytes) else str(cell)
    except UnicodeDecodeError:
        raise QuestionError(f"inputs.{name}: not UTF-8; send text") from None


def known_fields(
    instance: Mapping[str, Any], names: Sequence[str], where: str, why: Callable[[str], str | None] = lambda name: None
) -> None:
    """Raise `QuestionError` for a field that is none of these.

    Args:
        why: what is said of some in place of "unknown field".
    """
    for name in instance:
        if name not in names:
            said = why(str(name)) or "unknown field"
            raise QuestionError(f"{where}.{str(name)[:80]}: {said}; use {', '.join(names)}")


def amount(raw: Any, where: str, remedy: str, most: float) -> float:
    """A number from 0 to `most`; raises `QuestionError`."""
    # An integer may be larger than any float: it is compared before it becomes one. NaN compares false.
    if isinstance(raw, bool) or not isinstance(raw, int | float) or not 0 <= raw <= most:
        beyond = f", {most:g} at most" if isinstance(raw, int | float) and raw > most else ""
        raise QuestionError(f"{where}: {shown(raw)}; {remedy}{beyond}")
    return float(raw)
