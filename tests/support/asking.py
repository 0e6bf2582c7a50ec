"""Questions to a server's state within the process, answered as its predictors answer them."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from serving.allocation import question
from serving.allocation.answer import Answerer
from serving.live.live import Live
from tests.support.serving_run import CAMPAIGNS, instance

ANSWERERS: WeakKeyDictionary[Live, Answerer] = WeakKeyDictionary()


def ask(live: Live, arm: str = "policy", campaign: str = CAMPAIGNS[0], **more: Any) -> dict[str, Any]:
    """One prediction, of the server's one answerer, with what it keeps."""
    answerer = ANSWERERS.setdefault(live, Answerer(live))
    return answerer.answer(question.of_instances(instance(campaign, **more), live.bundle.layout), arm)[0]


def shares(answer: dict[str, Any]) -> np.ndarray:
    return np.array([line["share"] for line in answer["allocation"]])
