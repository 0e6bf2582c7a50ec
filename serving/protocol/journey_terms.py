"""What a question about a journey says of its campaign's money in this batch: a budget, a price, how many; pure.

Fields of an instance, as the split's `budget` is: `budget_left` (currency, what the campaign's instances of this batch
may cost together), or `lambda` (in place of the bundle's), and `top` (at most so many of them are allocated to). Said
by one instance they hold for all of its campaign; two that say different things are refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from serving.allocation.question import QuestionError, amount
from serving.fields import shown

FIELDS = ("budget_left", "lambda", "top")
MOST = 1e15
"""Of a budget and a lambda."""
MOST_TOP = 2**31 - 1

PROPERTIES: dict[str, Any] = {
    "budget_left": {
        "type": "number",
        "minimum": 0,
        "maximum": MOST,
        "description": "what the campaign's instances of this request may cost together, currency: lambda is found "
        "for them; not with lambda; said once or the same by all instances of the campaign",
    },
    "lambda": {
        "type": "number",
        "minimum": 0,
        "maximum": MOST,
        "description": "shadow price of the campaign, value per cost, in place of the model's; not with budget_left",
    },
    "top": {
        "type": "integer",
        "minimum": 0,
        "maximum": MOST_TOP,
        "description": "allocate to so many of the campaign's instances of this request at most, by value - lambda x "
        "cost; of equals the first in the request comes first",
    },
}
"""Schemas of the fields, for OpenAPI."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What is said of a campaign's money."""

    budget_left: float | None = None
    shadow: float | None = None
    """lambda."""
    top: int | None = None


class Asking(Protocol):
    """A question, as far as its campaign's money goes."""

    @property
    def campaign_id(self) -> str: ...
    @property
    def where(self) -> str: ...
    @property
    def terms(self) -> Terms: ...


def of_instance(raw: Mapping[str, Any], where: str) -> Terms:
    """The terms of an instance; raises `QuestionError` naming field, value and remedy."""
    budget, shadow, top = (raw.get(name) for name in FIELDS)
    if budget is not None and shadow is not None:
        raise QuestionError(
            f"{where}.lambda: {shown(shadow)} beside budget_left {shown(budget)}; send one of them: a budget finds "
            "its own lambda"
        )
    if top is not None and (isinstance(top, bool) or not isinstance(top, int) or not 0 <= top <= MOST_TOP):
        raise QuestionError(f"{where}.top: {shown(top)}; give how many to allocate to at most, a whole number from 0")

    def said(name: str, remedy: str) -> float | None:
        return None if raw.get(name) is None else amount(raw[name], f"{where}.{name}", remedy, MOST)

    return Terms(
        said("budget_left", "give what these instances may cost together, currency, 0 or above"),
        said("lambda", "give a shadow price, value per cost, 0 or above"),
        top,
    )


def by_campaign(questions: Sequence[Asking]) -> dict[str, Terms]:
    """What a batch says of each of its campaigns, in the order of their first question.

    Raises:
        QuestionError: two questions of one campaign say different things.
    """
    said: dict[str, dict[str, tuple[Any, str]]] = {}
    for one in questions:
        known = said.setdefault(one.campaign_id, {})
        for name, value in zip(FIELDS, (one.terms.budget_left, one.terms.shadow, one.terms.top), strict=True):
            if value is None:
                continue
            before, where = known.setdefault(name, (value, one.where))
            if before != value:
                raise QuestionError(
                    f"{one.where}.{name}: {value!r}, where {where}.{name} says {before!r} of the same campaign "
                    f"{one.campaign_id[:80]!r}; send one value a request"
                )
        if "budget_left" in known and "lambda" in known:
            (_, budget), (_, shadow) = known["budget_left"], known["lambda"]
            raise QuestionError(
                f"{shadow}.lambda: of campaign {one.campaign_id[:80]!r}, whose budget_left {budget} gives; send one of "
                "them: a budget finds its own lambda"
            )
    return {
        campaign: Terms(*(known[name][0] if name in known else None for name in FIELDS))
        for campaign, known in said.items()
    }
