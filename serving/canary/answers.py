"""Which version answers: what the arms' own answers name, asked for as a router asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crossmix.background import ExpectedError
from crossmix.metrics import ARMS, CANARY

if TYPE_CHECKING:
    from serving.app import Settings
    from serving.live.live import Live

POLICIES = (ARMS[0], CANARY)
"""Arms that a bundle serves."""


def versions(live: Live, settings: Settings) -> dict[str, int | None]:
    """By arm, the version that the answer for a campaign names; of predictors elsewhere, where this is their router.

    Raises:
        ExpectedError: a predictor is away, or refuses.
    """
    campaign = min(live.campaigns, default=None)
    if campaign is None:
        return dict.fromkeys(POLICIES, live.version)
    if settings.predictors is None:
        from serving.allocation.answer import Answerer
        from serving.allocation.question import of_instances

        (question,) = of_instances({"instances": [{"campaign_id": campaign}]}, live.bundle.layout)
        answerer = Answerer(live)
        return {arm: answerer.answer([question], arm)[0]["version"] for arm in POLICIES}
    from serving.http.client import AwayError, Client, RefusedError

    url = settings.predictors[0]
    client, found = Client(url, settings.predictor_token), {}
    for arm in POLICIES:
        body = {"instances": [{"campaign_id": campaign}]}
        try:
            answer = client.ask("POST", ["v1", "models", f"{arm}:predict"], body=body)
        except (AwayError, RefusedError) as error:
            raise ExpectedError(f"predictor {arm} at {url}: {error}") from error
        found[arm] = answer["predictions"][0]["version"]
    return found
