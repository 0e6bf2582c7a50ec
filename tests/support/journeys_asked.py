"""Questions about users of the planted world, and what a model answers to them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from crossmix.journeys.answer import Prices
from crossmix.journeys.log import NEVER, Events
from serving.kinds.answering import Predictions
from serving.kinds.journey import Journeys
from tests.support.journeys_run import learned

PRICES = Prices(currency="credits", cost_C=(2.0,) * 10, worth_click=1.0, worth_conversion_C=(5.0,) * 10, shadow=0.1)


def some_users() -> Events:
    """Users with several exposures, some of whose conversions are known."""
    log = learned().log
    count_U = np.bincount(log.user_R, minlength=len(log.users))
    chosen_U = np.zeros(len(log.users), bool)
    chosen_U[np.flatnonzero(count_U > 8)[:12]] = True
    events = log.of_users(chosen_U)
    soon_R = (np.arange(len(events)) % 7 == 0) & ~events.converted_R
    known_R = np.where(soon_R, events.seconds_R + 0.5, events.known_R)
    return replace(events, converted_R=events.converted_R | soon_R, known_R=known_R)


def asked(events: Events) -> tuple[list[int], list[dict[str, Any]]]:
    """Users, and their questions a second after the last of all exposures."""
    now, users = events.seconds_R.max() + 1, np.unique(events.user_R)
    questions = []
    for user in users:
        journey = []
        for row in np.flatnonzero(events.user_R == user):
            step = {
                "channel": events.channels[events.channel_R[row]],
                "clicked": bool(events.clicked_R[row]),
                "cost": float(events.cost_R[row]),
                "seconds_ago": float(now - events.seconds_R[row]),
            }
            if events.known_R[row] < NEVER:
                step["converted_seconds_ago"] = max(float(now - events.known_R[row]), 0.0)
            journey.append(step)
        questions.append({"campaign_id": "cheap", "user_id": events.users[user], "journey": journey})
    return users.tolist(), questions


def answers(journeys: Journeys, *instances: Any) -> Predictions:
    return journeys.answer(journeys.questions({"instances": list(instances)}))
