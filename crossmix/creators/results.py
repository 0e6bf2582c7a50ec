"""What a phase has given, read from CSV, and what is left to plan after it.

| column     | holds                                                                           |
|------------|---------------------------------------------------------------------------------|
| creator_id | of the catalogue                                                                |
| phase      | of the brief                                                                    |
| effect     | what the collaboration gave, in the unit of past results; empty: not over yet   |
| cost       | optional: what it cost, currency; empty, or no column: the catalogue's price    |

The file that `crossmix plan --csv` writes is one, once `effect` is filled in: other columns are left out. A phase is
over with its first result, and so is every phase before it: what was spent there counts in budget and rules, its
creators cannot come again, its cells are filled as far as they were.

Shapes: C cells.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from crossmix.creators import columns
from crossmix.creators.brief import Brief
from crossmix.creators.catalogue import Catalogue
from crossmix.creators.effect import Predictor, fit
from crossmix.creators.matrix import matrix_of, tier_N
from crossmix.creators.prior import learned, prior
from crossmix.creators.problem import Before
from crossmix.creators.settings import Effects
from crossmix.schema import DataError

REQUIRED = ("creator_id", "phase", "effect")
OPTIONAL = ("cost",)


@dataclass(frozen=True, slots=True)
class Result:
    """One collaboration that is over."""

    creator_id: str
    phase: str
    effect: float
    cost: float | None
    """`None`: the catalogue's price."""
    where: str
    """How messages name it: file and line."""


@dataclass(frozen=True, slots=True)
class After:
    """What results change."""

    catalogue: Catalogue
    """With the new results among the past ones."""
    predictor: Predictor
    """Fitted anew, with them; where public laws were assumed, those, corrected by them (`prior.py`)."""
    before: Before
    expected: float
    """What the collaborations were expected to give, before saturation, without their own results."""
    gave: float
    """Before saturation."""
    spent: float
    """Currency."""

    @property
    def learning(self) -> str:
        """What was learned from them, in a sentence without its stop."""
        if self.predictor.results:
            return "The predictor is fitted anew with it"
        return "The assumed laws are corrected by it, as far as it outweighs their doubt"


def read(path: Path, brief: Brief) -> list[Result]:
    """Results of a file for a brief; those without an effect are not over and are left out.

    Raises:
        DataError: what cannot be read, with file, line, field, value and remedy; or nothing is over.
    """
    table = columns.read(path, REQUIRED, OPTIONAL, "result")
    table.refuse("creator_id", table.empty("creator_id"), "is empty; name the creator")
    phases = table.text["phase"]
    table.refuse(
        "phase", (~phases.isin(brief.phases)).to_numpy(), f"is no phase of the brief; use {', '.join(brief.phases)}"
    )
    twice = table.text["creator_id"].duplicated().to_numpy()
    table.refuse("creator_id", twice, "is there twice; a creator comes once in a plan, drop one of the lines")
    effect_N = table.numbers("effect", least=0, optional=True)
    cost_N = table.numbers("cost", least=0, optional=True) if "cost" in table.text else np.full(len(table), np.nan)
    over = np.flatnonzero(~table.empty("effect"))
    if not len(over):
        raise DataError(f"{path}: effect: is empty in every line; write what the collaborations gave")
    place_N = np.asarray([brief.phases.index(name) for name in phases])
    last = int(place_N[over].max())
    table.refuse(
        "effect",
        table.empty("effect") & (place_N <= last),
        f"is missing, and {brief.phases[last]} is over; write what it gave, 0 for nothing, or drop the line",
    )
    names = table.text["creator_id"]
    return [
        Result(
            str(names.iloc[at]),
            str(phases.iloc[at]),
            float(effect_N[at]),
            None if np.isnan(cost_N[at]) else float(cost_N[at]),
            table.where(int(at)),
        )
        for at in over
    ]


def after(
    catalogue: Catalogue, predictor: Predictor, brief: Brief, results: list[Result], settings: Effects | None = None
) -> After:
    """Catalogue, predictor and what is done, once a brief has these results.

    Raises:
        DataError: a result of nobody in the catalogue, or of no channel and tier of the brief; or too few results to
            fit on.
    """
    matrix, tier = matrix_of(brief), tier_N(brief, catalogue.followers_N)
    row = {name: at for at, name in enumerate(catalogue.ids)}
    spent_C, reached_C = np.zeros(matrix.cells), np.zeros(matrix.cells)
    mean_N = predictor.posterior(catalogue).mean_N
    expected, last = 0.0, 0
    for one in results:
        if one.creator_id not in row:
            raise DataError(
                f"{one.where}: creator_id: {columns.shown(one.creator_id)} is not in the catalogue; use its ids"
            )
        at = row[one.creator_id]
        channel = catalogue.channels[catalogue.channel_N[at]]
        if channel not in matrix.channels or tier[at] < 0:
            raise DataError(
                f"{one.where}: creator_id: {columns.shown(one.creator_id)} is of no channel and tier of the brief; "
                "use the brief that the plan was made for"
            )
        phase = matrix.phases.index(one.phase)
        cell = np.ravel_multi_index((matrix.channels.index(channel), phase, int(tier[at])), matrix.shape)
        spent_C[cell] += catalogue.price_N[at] if one.cost is None else one.cost
        reached_C[cell] += one.effect
        expected += float(mean_N[at])
        last = max(last, phase)
    used = tuple(one.creator_id for one in results)
    more = catalogue.with_results({one.creator_id: [one.effect] for one in results})
    return After(
        catalogue=more,
        predictor=fit(more, settings) if predictor.results else learned(prior(more), more),
        before=Before(spent_C, reached_C, used, matrix.phases[: last + 1]),
        expected=expected,
        gave=float(reached_C.sum()),
        spent=float(spent_C.sum()),
    )
