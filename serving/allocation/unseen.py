"""What an answer says where it goes beyond what the policy's history shows: money that nobody ever spent, a campaign
that is over. The same as `crossmix allocate` says (`crossmix.allocate`), of an arm's part of the users.

Shapes: P platforms.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from crossmix import allocate
from crossmix.ledger.campaigns import Campaign
from crossmix.schema import campaign_called
from serving.allocation.question import Question, QuestionError

if TYPE_CHECKING:
    from crossmix.bundle import Bundle
    from crossmix.response import Ever

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Unseen:
    """Of one campaign and arm."""

    ever: Ever | None
    """The most that was ever spent on as many users as the arm has; `None`: supply is known, or the campaign's money is
    another than the bundle's."""
    most: float
    """The largest budget of which the bundle knows what it earns, currency."""
    ended: str | None
    """ISO 8601 date of the last cycle with spend of a campaign that is over."""

    @classmethod
    def of(cls, bundle: Bundle, campaign: Campaign, part: float) -> Unseen:
        """`part`: of the campaign's supply, that the arm's users have."""
        plan, ever = bundle.plans.get(campaign.campaign_id), bundle.ever_of(campaign.campaign_id)
        ended = bundle.manifest.get("ended", {}).get(campaign.campaign_id)
        if plan is None or ever is None or plan.currency != campaign.currency:
            return cls(None, 0.0, ended)
        return cls(ever.of_part(part), allocate.farthest(ever, plan.cycle_budget) * part, ended)

    def too_much(self, budget: float) -> bool:
        """Whether nobody can tell what a cycle's budget earns."""
        return self.ever is not None and budget > self.most

    def check(self, question: Question, currency: str) -> None:
        """Raise `QuestionError` for a question's own budget of which nobody can tell what it earns."""
        if self.ever is not None and question.budget is not None and self.too_much(question.budget):
            raise QuestionError(f"{question.where}.{self.ever.too_far(question.budget, self.most, currency)}")

    def over(self, campaign: Campaign, budget: float) -> list[str]:
        """That the campaign has ended, a note; none of one that runs."""
        if self.ended is None:
            return []
        what = f"{budget:,.2f} {campaign.currency} of this cycle are for the case that it came back"
        return [
            f"{campaign_called(campaign.campaign_id)} ended on {self.ended} in the history that the policy was made "
            f"of, and nothing is proved of it: {what if budget > 0 else 'resume it where it comes back'}"
        ]

    def beyond(self, platforms: tuple[str, ...], share_P: Array, budget: float, currency: str) -> list[str]:
        """That a split asks for more than was ever spent, a note; none where it does not."""
        if self.ever is None:
            return []
        if self.too_much(budget):
            return [self.ever.unknown(budget, currency)]
        said = self.ever.beyond(platforms, (share_P * budget).tolist(), "this split", currency)
        return [sentence.removesuffix(".") for sentence in said]
