"""Journeys of users that send none: what the feature store of the run has of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from crossmix.clock import Clock
from feature_repo.journeys import Exposures, UserJourneys
from serving.allocation.question import QuestionError
from serving.kinds.answering import BusyError
from serving.protocol.journey_request import JourneyQuestion, Step


class Remembered:
    """Users' exposures as questions have them.

    Args:
        folder: feature folder of a run of task `journeys`.
        channels: names of the bundle that answers, in its order.
        clock: the time before which exposures lie.

    Raises:
        DataError: the folder is none.
    """

    def __init__(self, folder: Path, channels: Sequence[str], clock: Clock) -> None:
        self.store, self.clock = UserJourneys(folder), clock
        self._place = {name: at for at, name in enumerate(channels)}

    def filled(self, questions: Sequence[JourneyQuestion]) -> list[tuple[JourneyQuestion, str | None]]:
        """Every question with a journey, and a sentence on one that was not sent; one that was stays as it is.

        Raises:
            QuestionError: a user has an exposure on a channel that the bundle does not know.
            BusyError: the store cannot be read.
        """
        users = list(dict.fromkeys(one.user_id for one in questions if one.journey is None and one.user_id is not None))
        try:
            found = dict(zip(users, self.store.of(users), strict=True))
        except Exception as error:  # Feast and its stores raise their own kinds each
            why = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise BusyError(
                f"model journey: the feature store cannot be read ({why}); send the user's exposures as journey"
            ) from None
        now = self.clock().timestamp()
        return [
            (one, None) if one.journey is not None else self._filled(one, found[str(one.user_id)], now)
            for one in questions
        ]

    def _filled(
        self, question: JourneyQuestion, known: Exposures | None, now: float
    ) -> tuple[JourneyQuestion, str | None]:
        if known is None:
            return replace(question, journey=()), f"user_id: the feature store does not know {question.user_id!r}"
        strange = sorted(set(known.channel) - set(self._place))
        if strange:
            raise QuestionError(
                f"{question.where}.user_id: the feature store has an exposure on {strange[0]!r}, which is no channel "
                f"of this model; send the journey, of {', '.join(self._place)}"
            )
        journey = steps(known, self._place, now)
        ago = f", the last {journey[-1].seconds_ago / 86_400:.4g} days ago" if journey else ""
        return replace(question, journey=journey), f"journey: {len(journey)} exposures of the feature store{ago}"


def steps(known: Exposures, place: dict[str, int], now: float) -> tuple[Step, ...]:
    """Exposures as steps before `now` (seconds since 1970, UTC); neither one nor a conversion that lies after it."""
    rows = zip(known.channel, known.clicked, known.cost, known.seconds, known.known, strict=True)
    return tuple(
        Step(place[channel], clicked, cost, now - seconds, None if sold is None or sold > now else now - sold)
        for channel, clicked, cost, seconds, sold in rows
        if seconds <= now
    )
