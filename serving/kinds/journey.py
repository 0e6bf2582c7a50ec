"""Journeys by V1 and V2: per channel what a user's next exposure would give, and whether it is worth its price.

A question is `serving.protocol.journey_request`'s. Its channel is the largest value - lambda x cost, and the user is
allocated to where that is above 0. lambda is the campaign's shadow price: the bundle's, or the request's, or found for
the request's budget (`serving.protocol.journey_terms`, `crossmix.journeys.batch`). Nothing is explored, so that the
channel has probability 1 and log density 0.

V2 inputs are `serving.protocol.journey_tensors`'. Outputs, in the order of `channels` (C): click, conversion and
the ends of their intervals, cost, value FP64 [B, C]; margin, lambda, log_density FP64 [B]; channel, bundle BYTES [B];
allocate BOOL [B]; channels BYTES [C]. Intervals are of 95 %; where exact answers are known they held 0.8 of them
(docs/guides/journeys.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from crossmix.clock import Clock, wall
from crossmix.journeys import batch
from crossmix.journeys.answer import OUTPUTS as PROBABILITIES
from crossmix.journeys.answer import Prices
from crossmix.journeys.log import NEVER, Events
from feature_repo.journeys import held
from serving.allocation.question import QuestionError
from serving.kinds.answering import Answering, Predictions
from serving.kinds.remembered import Remembered
from serving.protocol import journey_tensors, journey_terms
from serving.protocol.journey_request import JourneyQuestion, of_instances
from serving.protocol.journey_terms import Terms

if TYPE_CHECKING:
    from crossmix.journeys.bundled import JourneyBundle

PER_CHANNEL = (*PROBABILITIES, "cost", "value")
NUMBERS = ("margin", "lambda", "log_density")
TEXTS = ("channel", "bundle")


class Journeys(Answering):
    """Answers of a bundle.

    Args:
        bundle: `crossmix.journeys.bundled.load` gives it.
        features: feature folder. One of a run of task `journeys` has users' exposures, so that a question may leave
            them out; a split's has neither prices nor times, which the model reads.
        clock: the time before which those exposures lie.
    """

    def __init__(self, bundle: JourneyBundle, features: Path | None = None, clock: Clock = wall) -> None:
        self.bundle, self.remembered = bundle, None
        if features is not None and held(features):
            self.remembered = Remembered(features, bundle.channels, clock)

    def questions(self, payload: Any) -> Sequence[JourneyQuestion]:
        """The journeys of a body."""
        asked = of_instances(payload, self.bundle.channels)
        for one in asked:
            if one.campaign_id not in self.bundle.prices:
                known = ", ".join(list(self.bundle.prices)[:20])
                raise QuestionError(
                    f"{one.where}.campaign_id: {one.campaign_id[:80]!r} has no prices in this model; use {known}"
                )
            if one.journey is None and self.remembered is None:
                raise QuestionError(
                    f"{one.where}.journey: missing; this server keeps no prices and times of users' exposures, which "
                    "the model reads: send the user's exposures, or [] for a user without any"
                )
        journey_terms.by_campaign(asked)
        return asked

    def answer(self, questions: Sequence[JourneyQuestion]) -> Predictions:
        """An answer each, all in one pass of the network and one allocation."""
        filled = [(one, None) for one in questions] if self.remembered is None else self.remembered.filled(questions)
        channels = self.bundle.channels
        said = self.bundle.answer(events([one for one, _ in filled], channels))
        terms = journey_terms.by_campaign(questions)
        prices = [self.bundle.prices[one.campaign_id].costing(one.costs, channels) for one in questions]
        value_BC = np.concatenate([one.value(said.of(row)) for row, one in enumerate(prices)])
        cost_BC = np.array([one.cost_C for one in prices])
        asked = _asked(questions, terms, self.bundle.prices)
        shadow_G, chosen = batch.settle(value_BC, cost_BC, asked)
        spend_G = batch.spend(chosen, cost_BC, asked)
        found = []
        for row, (one, whence) in enumerate(filled):
            group, picked = asked.group_B[row], int(chosen.channel_B[row])
            rows = [
                {"channel": name}
                | {key: float(getattr(said, f"{key}_UC")[row, at]) for key in PROBABILITIES}
                | {
                    "cost": float(cost_BC[row, at]),
                    "value": float(value_BC[row, at]),
                    "probability": float(at == picked),
                }
                for at, name in enumerate(channels)
            ]
            why = Why(
                shadow=float(shadow_G[group]),
                currency=prices[row].currency,
                margin=float(chosen.margin_B[row]),
                allocated=bool(chosen.allocated_B[row]),
                terms=terms[one.campaign_id],
                spend=float(spend_G[group]),
            )
            found.append(
                {
                    "campaign_id": one.campaign_id,
                    "user_id": one.user_id,
                    "channel": channels[picked],
                    "allocate": why.allocated,
                    "margin": why.margin,
                    "lambda": why.shadow,
                    "currency": why.currency,
                    "channels": rows,
                    "why": [*why.sentences(rows[picked], len(one.journey or ())), *([whence] if whence else [])],
                    "log_density": 0.0,
                }
            )
        return found

    def of_tensors(self, inputs: Mapping[str, Any]) -> Sequence[JourneyQuestion]:
        """Journeys of V2's inputs."""
        return self.questions({"instances": journey_tensors.instances(inputs, self.bundle.channels)})

    def outputs(self, predictions: Predictions) -> list[Any]:
        """A tensor per name."""
        from kserve import InferOutput

        rows, channels = len(predictions), self.bundle.channels
        made = [
            InferOutput(
                name, [rows, len(channels)], "FP64", [one[name] for said in predictions for one in said["channels"]]
            )
            for name in PER_CHANNEL
        ]
        made += [InferOutput(name, [rows], "FP64", [said[name] for said in predictions]) for name in NUMBERS]
        made += [InferOutput(name, [rows], "BYTES", [said[name] for said in predictions]) for name in TEXTS]
        made.append(InferOutput("allocate", [rows], "BOOL", [said["allocate"] for said in predictions]))
        made.append(InferOutput("channels", [len(channels)], "BYTES", list(channels)))
        return made

    def input_types(self) -> list[dict[str, Any]]:
        """Inputs of V2."""
        return journey_tensors.input_types(len(self.bundle.channels))

    def output_types(self) -> list[dict[str, Any]]:
        """As the module says."""
        channels = len(self.bundle.channels)
        rows = [(name, "FP64", [-1, channels]) for name in PER_CHANNEL] + [(name, "FP64", [-1]) for name in NUMBERS]
        rows += [(name, "BYTES", [-1]) for name in TEXTS]
        rows += [("allocate", "BOOL", [-1]), ("channels", "BYTES", [channels])]
        return [{"name": name, "datatype": kind, "shape": shape} for name, kind, shape in rows]

    def warm(self) -> None:
        """Answer once: the first run of a session prepares it."""
        self.bundle.answer(events([], self.bundle.channels, users=1))


def events(asked: Sequence[JourneyQuestion], channels: tuple[str, ...], users: int | None = None) -> Events:
    """The exposures of every question, a user each, at seconds before now.

    Args:
        users: how many there are; `None`: a user per question.
    """
    steps = [step for one in asked for step in one.journey or ()]
    count = [len(one.journey or ()) for one in asked]
    before_R = np.array([step.seconds_ago for step in steps], float)
    known_R = np.array([-NEVER if step.converted_ago is None else step.converted_ago for step in steps], float)
    return Events(
        channels=channels,
        users=tuple(map(str, range(len(asked) if users is None else users))),
        user_R=np.repeat(np.arange(len(asked)), count).astype(np.int64),
        channel_R=np.array([step.channel for step in steps], np.int64),
        clicked_R=np.array([step.clicked for step in steps], bool),
        cost_R=np.array([step.cost for step in steps], float),
        seconds_R=-before_R,
        converted_R=np.isfinite(known_R),
        known_R=-known_R,
        revenue_R=np.zeros(len(steps)),
        row_R=np.arange(len(steps)),
    )


def _asked(
    questions: Sequence[JourneyQuestion], terms: Mapping[str, Terms], prices: Mapping[str, Prices]
) -> batch.Asked:
    """The batch's campaigns, in the order of `terms`: what is not said is the bundle's, or without end."""
    place = {campaign: at for at, campaign in enumerate(terms)}
    shadow = [prices[campaign].shadow if one.shadow is None else one.shadow for campaign, one in terms.items()]
    return batch.Asked(
        group_B=np.array([place[one.campaign_id] for one in questions], np.int64),
        shadow_G=np.array(shadow, float),
        budget_G=np.array([np.inf if one.budget_left is None else one.budget_left for one in terms.values()], float),
        most_G=np.array([np.inf if one.top is None else one.top for one in terms.values()], float),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """What an answer follows from, for sentences."""

    shadow: float
    """lambda, as it was used."""
    currency: str
    margin: float
    allocated: bool
    terms: Terms
    """What the request says of the campaign's money."""
    spend: float
    """Of the campaign's allocated instances of the batch, currency."""

    def sentences(self, row: Mapping[str, Any], steps: int) -> list[str]:
        """Why.

        Args:
            row: of the channel, as the answer has it.
            steps: exposures that are known of the user.
        """
        price = f"{row['value']:.4g} - lambda {self.shadow:.4g} x {row['cost']:.4g} = {self.margin:.4g} {self.currency}"
        said = [f"{row['channel']}: value less price is the largest of all channels, {price}", self._allocated()]
        if self.terms.budget_left is not None:
            said.append(
                f"lambda was found for this request: the campaign's users cost {self.spend:.6g} of budget_left "
                f"{self.terms.budget_left:.6g} {self.currency}"
            )
        elif self.terms.shadow is not None:
            said.append("lambda is the request's")
        if not steps:
            said.append("no exposure is known: probabilities are those of first exposures")
        return said

    def _allocated(self) -> str:
        if self.allocated:
            return "it is above 0: allocated" if self.margin > 0 else "it is 0, and the budget pays for it: allocated"
        if self.terms.top == 0:
            return "top is 0: nobody is allocated to"
        if self.margin == 0 and self.terms.budget_left is not None:
            return "it is 0, and the budget ends before it: not allocated"
        if self.margin <= 0:
            return "it is not above 0: money earns more elsewhere"
        ends = (
            "the budget does not pay for it"
            if self.terms.top is None
            else f"others come before, and top is {self.terms.top}"
        )
        return f"it is above 0, but {ends}: not allocated"
