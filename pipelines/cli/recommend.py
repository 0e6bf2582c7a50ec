"""The answer of `crossmix allocate`: bundle and newest statistics brought together, and shown."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crossmix.allocate import Allocation, LimitChange, explain
from crossmix.bundle import Bundle, load
from crossmix.config import ConfigError
from crossmix.reasons import PlatformShare
from crossmix.schema import Held, together
from pipelines.cli import standing as known
from pipelines.cli.amounts import amount
from pipelines.cli.beside import check_campaign
from pipelines.cli.cells import padded, width
from pipelines.cli.tasks import is_of
from pipelines.cli.totals import NOTHING, AllCampaigns, Total, of_all
from pipelines.local import step_folder

if TYPE_CHECKING:
    from crossmix.evaluate.decision.standing import Standing


@dataclass(frozen=True, slots=True)
class Answer:
    """A campaign's split and how far to trust it."""

    allocation: Allocation
    standing: Standing | None
    """`None`: the bundle tells no gates."""
    untried: frozenset[str] = frozenset()
    """Platforms where the campaign never spent: what they earn is borrowed from others."""
    held: tuple[Held, ...] = ()
    """Money that no split moves, of all campaigns together."""
    alone: bool = True
    """The bundle knows no other campaign."""
    fit_alone: Allocation | None = None
    """The policy's split where `allocation` keeps today's, as the standing says to; `None`: it is the policy's."""

    @property
    def total(self) -> Total:
        """What its platforms come to."""
        return Total.of(self.allocation, self.held, alone=self.alone)

    def as_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON."""
        trusted = None if self.standing is None else asdict(self.standing)
        alone = None if self.fit_alone is None else self.fit_alone.as_dict()
        return {
            "standing": trusted, "untried": sorted(self.untried), **self.allocation.as_dict(),
            "total": asdict(self.total), "fit_alone": alone,
        }  # fmt: skip

    def table(self) -> str:
        """The answer for a terminal."""
        lines = [] if self.standing is None else [*self.standing.lines(), ""]
        split = table(self.allocation, self.untried, self.held, alone=self.alone, fit_alone=self.fit_alone)
        return "\n".join([*lines, split])


@dataclass(frozen=True, slots=True)
class Over:
    """A campaign that is over, which nobody asked about by name."""

    campaign: str
    ended: str
    """ISO 8601 date of its last cycle with spend."""

    def as_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON."""
        return {
            "campaign": self.campaign,
            "ended": self.ended,
            "budget": 0.0,
            "platforms": [],
            "total": asdict(NOTHING),
        }

    def table(self) -> str:
        """One line for a terminal."""
        return (
            f"{self.campaign}: ended on {self.ended}, 0.00 for the next cycle; "
            f"`--campaign {shlex.quote(self.campaign)}` asks about it all the same"
        )


def bundle_of(out: Path, task: str = "split") -> Path:
    """What answers for a run: its registry's champion, else the bundle that its gates judged and did not pass.

    A champion of another task, which a run before left in the folder, does not answer for this one.

    Args:
        task: of the run.

    Raises:
        ConfigError: it is no finished run.
    """
    champion, judged = out / "bundle", known.judged_bundle(out)
    if is_of(champion, task):
        return champion
    return judged or step_folder(out, "gate") / "bundle"


def allocate(
    bundle: Path,
    features: Path,
    campaign: str | None = None,
    budget: str | None = None,
    limits: Sequence[str] = (),
    freeze: Sequence[str] = (),
    out: Path | None = None,
) -> tuple[Answer | Over, ...]:
    """Split the next cycle's budget of a campaign, or of all that the bundle knows.

    Args:
        bundle: folder of a policy bundle.
        features: feature repository that holds the campaigns' newest statistics.
        campaign: `None`: every one, each by its plan's budget and limits; one that is over has no budget.
        budget: currency per cycle, or a change of the plan's, as +30%; the plan's if absent.
        limits: `platform:min:max` each, shares of the cycle budget; an empty part leaves the bundle's.
        freeze: platforms whose share stays.
        out: the run that was asked, whose decision tells the standing of what its own bundle answers.

    Raises:
        BundleError, ConfigError, DataError, InfeasibleError: what cannot be used; names field, value and remedy.
    """
    from feature_repo.features import online_statistics

    loaded = load(bundle)
    if campaign is not None and campaign not in loaded.campaigns:
        check_campaign(out, campaign)
    money, relative = (1.0, True) if budget is None else amount(budget)
    names = _asked(loaded, campaign, {"--budget": not relative, "--limit": limits, "--freeze": freeze})
    answers, ended = list[Answer | Over](), loaded.ended
    for name, statistics in zip(names, online_statistics(features, names), strict=True):
        if campaign is None and name in ended:
            answers.append(Over(name, ended[name]))
            continue
        previous = loaded.layout.of_platforms(statistics, "previous_share", len(loaded.platforms))
        asked = partial(
            explain,
            loaded,
            statistics,
            name,
            loaded.responses[name],
            budget=None if budget is None else money * (loaded.plans[name].cycle_budget if relative else 1),
            change=change(limits, freeze),
            previous_P=previous if abs(float(previous.sum()) - 1) < 1e-3 else None,
        )
        split, trusted, fit_alone = asked(), known.of_bundle(loaded, out, name), None
        # Limits that a proof of another campaign left hold this one at today's split already.
        if trusted is not None and trusted.keep and name not in loaded.manifest.get("narrowed", {}):
            split, fit_alone = asked(keep=True), split
        elif trusted is not None and trusted.word == "proved" and budget is not None and loaded.ever_of(name):
            plan = loaded.plans[name]
            split = replace(split, notes=(*split.notes, PROVED_AT.format(plan.cycle_budget, plan.currency)))
        answers.append(
            Answer(
                split,
                trusted,
                known.untried(out, name) | loaded.untried.get(name, frozenset()),
                loaded.held,
                len(loaded.campaigns) == 1,
                fit_alone,
            )
        )
    return tuple(answers)


def in_all(answers: Sequence[Answer | Over]) -> list[str]:
    """What all campaigns come to, a paragraph per currency for a terminal; none of fewer than two that run."""
    return [one.table() for one in _running(answers) if one.campaigns > 1]


def as_json(answers: Sequence[Answer | Over], beside: Sequence[str] = ()) -> str:
    """The answer of one campaign, or a list of several, each with what all of them come to and what stands beside."""
    told = {"all_campaigns": [one.as_dict() for one in _running(answers)]} if len(answers) > 1 else {}
    plain = [one.as_dict() | told | {"beside": list(beside)} for one in answers]
    return json.dumps(plain[0] if len(plain) == 1 else plain, indent=2)


def _running(answers: Sequence[Answer | Over]) -> list[AllCampaigns]:
    running = [one for one in answers if isinstance(one, Answer)]
    return of_all([one.allocation for one in running], running[0].held if running else ())


def _asked(bundle: Bundle, campaign: str | None, given: Mapping[str, object]) -> list[str]:
    """Whose budgets are split; `given`: options that are one campaign's own, true where they were given."""
    if campaign is not None:
        bundle.check_campaign(campaign)
        return [campaign]
    if len(bundle.campaigns) > 1:
        for option, value in given.items():
            if value:
                known = ", ".join(bundle.campaigns)
                raise ConfigError(
                    f"{option}: it is for one of the {len(bundle.campaigns)} campaigns ({known}); name it by --campaign"
                )
    return list(bundle.campaigns)


def change(limits: Sequence[str], freeze: Sequence[str] = ()) -> LimitChange:
    """Limits as they are typed; raises `ConfigError` for one that is no `platform:min:max`."""
    minimum, maximum = dict[str, float](), dict[str, float]()
    for text in limits:
        try:
            platform, low, high = text.rsplit(":", 2)
            minimum |= {platform: float(low)} if low else {}
            maximum |= {platform: float(high)} if high else {}
        except ValueError:
            raise ConfigError(f"--limit {text!r}: write it as platform:min:max, as search:0.1:0.4") from None
    return LimitChange(minimum=minimum, maximum=maximum, freeze=frozenset(freeze))


PROVED_AT = (
    "What was proved is the change at today’s budget of {:,.2f} {} per cycle. What this split earns above today’s "
    "split of the asked budget is what the fit expects."
)
UNSURE = (
    "not recommended: the split of the column `fit alone` should earn {:,.2f} in it by the fit alone; with what the "
    "data leave open it is likelier to lose than to gain"
)
ALL = "all platforms"
"""Row of what they come to."""
USUAL = "as usual"
"""What `PlatformAllocation.differs` says where nothing does."""
DRIFTED = (
    "this is the coming cycle as the policy sees it, which differs from usual; crossmix whatif tells an average day "
    "without drift, so that its split and revenue are others (--present and --weekday bring it nearer)"
)
SEEN = (
    "this is the coming cycle as the policy sees it, near to usual; crossmix whatif tells an average day without "
    "drift, so that its split and revenue are a little other"
)


def table(
    answer: Allocation,
    untried: frozenset[str] = frozenset(),
    held: Sequence[Held] = (),
    *,
    alone: bool = True,
    fit_alone: Allocation | None = None,
) -> str:
    """The answer for a terminal.

    Args:
        untried: platforms where the campaign never spent, of which no marginal ROI is told.
        held: money that no split moves.
        alone: whether no other campaign is split beside it.
        fit_alone: the policy's split where `answer` keeps today's.
    """
    low, high = answer.expected_revenue_interval
    error = "fitting error" if answer.belief is None else "fitting error, given what the policy believes"
    whys = {one.platform: _why(one, new=one.platform in untried) for one in answer.platforms}
    wide = max(map(width, whys.values()))
    names = [*(one.platform for one in answer.platforms), *(one.platform for one in held)]
    first = max(width(ALL), *map(width, names))
    otherwise = {} if fit_alone is None else {one.platform: one.share for one in fit_alone.platforms}
    kept = "" if fit_alone is None else ", split as today"
    column = "" if fit_alone is None else f"  {'fit alone':>9}"
    usual = f"{answer.usual_static_revenue:,.2f} on an average day without drift"
    lines = [
        f"{answer.campaign}: {answer.budget:,.2f} {answer.currency} for the next cycle{kept}",
        "",
        f"{'platform':{first}}   share{column}      amount     revenue   marginal ROI          {'why':{wide}}  "
        "differs from usual",
    ]
    for platform in sorted(answer.platforms, key=lambda item: -item.share):
        bounds = "[{:.2f}, {:.2f}]".format(*platform.marginal_roi_interval)
        marginal, why = f"{platform.marginal_roi:5.2f} {bounds:14}", whys[platform.platform]
        if platform.platform in untried:
            marginal = f"{'never tried':20}"
        lines.append(
            f"{padded(platform.platform, first)}  {platform.share:6.1%}"
            f"{f'  {otherwise[platform.platform]:9.1%}' if otherwise else ''}  {platform.amount:10,.2f}"
            f"  {platform.expected_revenue:10,.2f}   {marginal}"
            f"  {padded(why, wide)}  {platform.differs or 'not known'}"
        )
    whose = "" if alone else ", of all campaigns"
    drifted = any(one.differs not in (None, USUAL) for one in answer.platforms)
    total = Total.of(answer, held, alone=alone)
    lines += [
        f"{ALL:{first}}  {total.share:6.1%}{f'  {1:9.1%}' if otherwise else ''}  {total.amount:10,.2f}"
        f"  {total.expected_revenue:10,.2f}",
        *(
            f"{padded(one.platform, first)}    held  {' ' * len(column)}{one.today:10,.2f}   at its plan{whose}"
            for one in held
        ),
    ]
    lines += [
        "",
        *([together(answer.budget, held, answer.currency)] if held and alone else []),
        f"expected revenue of the coming cycle {answer.expected_revenue:,.2f} {answer.currency}, 95 % interval "
        f"[{low:,.2f}, {high:,.2f}] ({error}); ROI {answer.expected_roi:.2f}",
        f"the plan's static split should earn {answer.static_revenue:,.2f} in it, {usual}"
        if fit_alone is None
        else f"today's split should earn {usual}",
        *([] if fit_alone is None else [UNSURE.format(fit_alone.expected_revenue)]),
        *([] if answer.belief is None else [f"note: {DRIFTED if drifted else SEEN}"]),
        *answer.reasons,
        *(f"note: {note}" for note in answer.notes),
        f"bundle {answer.bundle[:12]}",
    ]
    return "\n".join(lines)


def _why(platform: PlatformShare, *, new: bool) -> str:
    """What holds a share and what more would earn there; of what was never tried, `new`, that its most is a probe."""
    if not new:
        return platform.reason
    probe = ", a probe" if platform.binding == "max" else ""
    return f"{platform.held}{probe}; what it earns is borrowed from others"
