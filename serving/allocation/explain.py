"""What an answer says of itself: what its split should earn under the policy's belief, and why everything is as it is.

Shapes: P platforms.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from numpy.typing import NDArray

from crossmix import allocate
from crossmix.reasons import Decided, PlatformShare, at_limits, overall
from crossmix.response import Belief, Responder, Response

if TYPE_CHECKING:
    from crossmix.bundle import Bundle
    from crossmix.ledger.campaigns import Campaign
    from crossmix.state import Layout
    from serving.allocation.task import Task

Array = NDArray[Any]


class Answered(NamedTuple):
    """A split and where it comes from."""

    share_P: Array
    logits_P: Array | None
    """The policy's, before noise; `None`: the split is somebody's."""
    belief: Belief | None


def supply_part(campaign: Campaign, cycle: int, weight: float) -> float:
    """The arm's users' part of a whole cycle's supply; less in a first cycle that begins within its day.

    Args:
        weight: the arm's part of users.
    """
    part = weight * (campaign.calendar.part(0) if cycle == 0 else 1.0)
    return part if part > 0 else 1.0


def response(responder: Responder, share_P: Array, budget: float, part: float, belief: Belief | None) -> Response:
    """Of a part w of the supply w R(money / w) is earned, where R is what all of it earns."""
    money = budget / part
    whole = responder(share_P, money) if belief is None else belief.response(responder, share_P, money)
    common_PF = whole.common_PF * part
    return Response(whole.revenue_P * part, whole.revenue_se_P * part, whole.marginal_P, whole.marginal_se_P, common_PF)


def decided(task: Task, answered: Answered, belief: Belief, part: float, bundle: Bundle) -> Decided:
    """How the split came about.

    Args:
        part: of the supply, `supply_part`.
    """
    if answered.logits_P is None:
        return Decided(belief, None, part, before_TDP=task.before_TDP)
    elsewhere: str | None = "nothing is to be spent"
    if task.budget > 0:
        elsewhere = allocate.other_budget(bundle, belief, task.state_S, task.budget / part)
    if task.question.state_S is not None and elsewhere is None:
        statistics_X = bundle.layout.statistics(task.state_S)
        own = (bundle.layout.of_platforms(statistics_X, name, len(bundle.platforms)) for name in ("min", "max"))
        if [edge.tolist() for edge in own] != [task.limits.minimum_P.tolist(), task.limits.maximum_P.tolist()]:
            elsewhere = "the policy solved within the limits of the given state"
    return Decided.of(belief, answered.share_P, answered.logits_P, task.noise_P, part, elsewhere, task.before_TDP)


def money(budget: float, planned: float, pace: float, layout: Layout) -> list[str]:
    """What is to say of a cycle's money.

    Args:
        budget: to be spent, currency.
        planned: the arm's part of the plan's.
        pace: over the plan's.
    """
    if budget > 0:
        highest = layout.campaign_fields[layout.campaign("pace")].high
        if pace < highest:
            return []
        return [
            f"The pace is held at its highest, {highest:g} times the plan's budget: more is left than it may spend."
        ]
    if planned > 0:
        return ["The campaign's money is used up: nothing is left to spend."]
    return ["This arm has no users: it spends nothing."]


def reasons(
    task: Task, platforms: Sequence[PlatformShare], how: Decided | None, known: bool, answers: bool
) -> list[str]:
    """What holds for the answer as a whole, a sentence each.

    Args:
        known: whether what money earns is.
        answers: whether the bundle has a response of the campaign, whatever the budget.
    """
    sentences = list(task.reasons)
    if task.target_P is not None:
        sentences.append(f"Every platform has {_split(task)}.")
    if known:
        sentences += overall(platforms, how, task.planned.campaign.campaign_id)
    else:
        sentences += at_limits(platforms)
        if not answers:
            sentences.append("The bundle knows no response of this campaign: what it earns is not known.")
    return sentences


def sentence(text: str) -> str:
    """A note as a sentence."""
    return f"{text[:1].upper()}{text[1:]}."


def reason(platform: PlatformShare, task: Task, known: bool) -> str:
    """Why a platform's share is what it is.

    Args:
        known: whether what money earns is.
    """
    if task.target_P is None:
        return platform.reason if known else platform.held
    return _split(task)


def _split(task: Task) -> str:
    """Whose split is served in place of the policy's."""
    override = task.planned.campaign.override
    if override is not None:
        split = "kill switch: the static split" if override.kind == "static" else "the given split"
        return f"{split}, set by {override.actor}" + (f": {override.reason}" if override.reason else "")
    return "the plan's static split"
