"""How the running experiment stands: figures of both arms, lifts with intervals, guardrails, one word and one line.

Only finished cycles count, and only ROI decides. The word is read from the interval that is shown beside it: the
always-valid one of today, at the experiment's level whenever one looks; at the planned end the paired test's too, at
what the looks before have left of that level (`sequential.closing`). What was found earlier and is gone is told after
it. An imbalance of users blocks everything, and is said first.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from crossmix.config import Guardrails, Reward
from crossmix.evaluate.stats.sequential import balance
from crossmix.ledger import experiments
from crossmix.ledger.experiments import GUARDRAIL, Experiment, VerdictError
from crossmix.ledger.outcomes import Outcomes
from crossmix.ledger.outcomes_by_user import users_lately
from crossmix.ledger.outcomes_read import read
from crossmix.ledger.phases import marks
from crossmix.ledger.store import Store
from crossmix.terms import SHIPPED
from serving.experiment import results
from serving.experiment.compare import CONTROL, POLICY, RUNNING, by_user, compare, history, of_outcomes, word_of
from serving.experiment.compare import interval as interval_of
from serving.experiment.guardrails import Rail, rails, told
from serving.experiment.notes import notes

FEWEST_USERS = 50
"""Of both arms, below which the chi-square law of the sample ratio does not hold."""


def status(
    store: Store,
    experiment_id: str,
    now: datetime,
    guardrails: Guardrails | None = None,
    weights: Reward | None = None,
    *,
    campaign: str | None = None,
    page: int = 1,
) -> dict[str, Any]:
    """How the experiment stands, as plain JSON.

    Args:
        now: UTC; only what has finished by then counts.
        guardrails: thresholds; their defaults if absent.
        weights: of eq. 10, which is told beside revenue and decides nothing; their defaults if absent.
        campaign: everything of this one alone, but for guardrails: they are the experiment's.
        page: of the campaigns' results, from 1.

    Raises:
        VerdictError: no such experiment, or no such campaign in it.
        StoreAwayError: the database is away.
    """
    if now.tzinfo is None:
        raise VerdictError(f"now: {now.isoformat()} has no zone; give UTC")
    one = experiments.get(store, experiment_id)
    outcomes = read(store, one, now)
    limits = guardrails or Guardrails()
    rows = rails(outcomes, limits)
    if campaign is not None:
        if campaign not in {member.campaign_id for member in outcomes.members}:
            raise VerdictError(f"campaign: {campaign!r} has no feedback in experiment {one.id!r}; name one that has")
        outcomes = outcomes.only(campaign=campaign)
    changes = marks(store, one, outcomes.length, now, outcomes.members)
    ratio = _balance(one, experiments.assigned(store, one))
    pairs = of_outcomes(outcomes, "roi")
    lifts = results.lifts(outcomes)
    lifts["roi"] = compare(pairs, one.level, closes=outcomes.reached, needed=True)
    if "paired" in lifts["roi"]:
        lifts["roi"]["by_figure"] = history(outcomes, one.level)
    verdict = _verdict(one, outcomes, ratio, lifts["roi"], rows)
    decided = verdict["interval"]
    standing: dict[str, Any] = {
        "experiment": {
            "id": one.id,
            "weights": dict(one.weights),
            "started": one.started.isoformat(),
            "planned_cycles": one.days,
            "cycle_hours": outcomes.length.total_seconds() / 3600,
            "level": one.level,
            "ended": one.ended.isoformat() if one.ended else None,
            "shipped": one.shipped.isoformat() if one.shipped else None,
            "reason": one.reason,
            "ended_by": one.ended_by,
            "state": one.state,
            "included": None if one.included is None else list(one.included),
            "excluded": None if one.excluded is None else list(one.excluded),
        },
        "now": now.astimezone(UTC).isoformat(),
        "verdict": verdict,
        "cycles": {
            "finished": outcomes.finished,
            "with_feedback": len(outcomes.slot_T),
            "planned": one.days,
            "campaign_cycles_without_feedback": outcomes.silent,
            "campaign_cycles_held": outcomes.held,
        },
        "sample_ratio": ratio,
        "currency": outcomes.currencies[0] if len(outcomes.currencies) == 1 else None,
        "currencies": results.by_currency(outcomes, decided),
        "campaigns": [member.campaign_id for member in outcomes.members],
        "by_campaign": results.by_campaign(outcomes, page, -limits.roi_drop),
        "arms": results.arms(outcomes),
        "dynamic_reward": results.dynamic_reward(outcomes, weights or Reward()),
        "lifts": lifts,
        "platforms": results.platforms(outcomes),
        "users": by_user(
            users_lately(store, outcomes),
            float(outcomes.of("impressions").sum()),
            one.level,
            mixed=len(outcomes.currencies) > 1,
        ),
        "guardrails": [rail.as_dict() for rail in rows],
        "by_cycle": results.by_cycle(outcomes),
        "phases": [mark.as_dict() for mark in changes],
        "by_phase": results.by_phase(outcomes, changes),
        "late": results.late(outcomes),
    }
    left_out = () if isinstance(pairs, str) else pairs.left_out
    standing["notes"] = notes(store, outcomes, standing, [outcomes.currencies[c] for c in left_out])
    return standing


def render(standing: dict[str, Any], begun: Sequence[Experiment] = ()) -> str:
    """A status as a page of its own: HTML that fetches nothing.

    Args:
        begun: every experiment, to be listed with links to their pages; none: the page stands alone.
    """
    from serving.experiment.page import page

    return page(standing, begun)


def _verdict(
    one: Experiment, outcomes: Outcomes, ratio: dict[str, Any], roi: dict[str, Any], rows: list[Rail]
) -> dict[str, Any]:
    """The word, the line, and the interval that both are read from."""
    progress = f"{outcomes.finished} of {one.days} cycles"
    shipped = " It was shipped: the policy serves everybody." if one.outcome == SHIPPED else ""
    why = one.reason if one.ended and one.reason != SHIPPED else None  # which is no reason of anybody's
    over = (f" It has ended: {why}." if why else "") + shipped
    nothing = {"interval": None, "decided_by": None}
    if ratio["verdict"] == "imbalance":
        sentence = f"Blocked: {ratio['reason']} Nothing below can be trusted.{over}"
        return nothing | {"word": "blocked", "line": sentence, "decided_by": "sample ratio"}
    if one.ended and one.ended_by == GUARDRAIL:
        sentence = f"Ended after {progress} by {one.reason}.{shipped}"
        return nothing | {"word": "ended by guardrail", "line": sentence, "decided_by": "guardrail"}
    bad = told(rows)
    if bad is not None and not one.ended:
        sentence = f"A guardrail is broken after {progress}, which ends the experiment: {bad}."
        return nothing | {"word": "guardrail broken", "line": sentence, "decided_by": "guardrail"}
    if "paired" not in roi:
        sentence = f"Insufficient data after {progress}: {roi['reason']}.{over}"
        return nothing | {"word": "insufficient data", "line": sentence}
    word, line, interval = _judged(one, outcomes, roi, progress)
    decided = "paired" if interval is roi.get("closing") else "always-valid"
    ends = {name: interval[name] for name in ("lift", "low", "high")}
    level = interval.get("level", one.level)
    return {"word": word, "line": line + over, "interval": ends | {"level": level}, "decided_by": decided}


def _judged(one: Experiment, outcomes: Outcomes, roi: dict[str, Any], progress: str) -> tuple[str, str, dict[str, Any]]:
    """What the interval of today says, in a word and a sentence; what was said before and no longer holds, after it.

    The word is that of the interval that the sentence shows: a difference that was found once and is gone is none.
    """
    always, looks = roi["always_valid"], roi["by_figure"]
    word = word_of(always)
    if word != RUNNING:
        since = _since(looks, word)
        turned = _before(looks, {POLICY: CONTROL, CONTROL: POLICY}[word])
        sentence = f"{_better(word)}: ROI {_lift(always)} after {progress}; the always-valid test says so since cycle "
        return word, f"{sentence}{since}.{turned}", always
    gone = _before(looks, POLICY, CONTROL)
    if outcomes.reached:
        last = roi["closing"]
        word = word_of(last)
        if word != RUNNING:
            turned = _before(looks, {POLICY: CONTROL, CONTROL: POLICY}[word])
            return word, f"{_better(word)}: ROI {_lift(last)} at the planned end, by the paired test.{turned}", last
        return (
            "no difference found by the planned end",
            f"No difference found by the planned end: ROI {_lift(last)}.{gone}",
            last,
        )
    if one.ended:
        sentence = f"Ended after {progress}, without a difference that stands: ROI {_lift(always)}.{gone}"
        return "ended", sentence, always
    if gone:
        return "undecided again", f"Undecided again, {progress}: ROI {_lift(always)}.{gone}", always
    return "running", f"Running, {progress}: no difference found so far; ROI {_lift(always)}.", always


def _since(looks: list[dict[str, Any]], word: str) -> int:
    """Cycle from which on it has been this word without a break."""
    start = len(looks) - 1
    while start > 0 and looks[start - 1]["word"] == word:
        start -= 1
    return int(looks[start]["cycle"])


def _before(looks: list[dict[str, Any]], *words: str) -> str:
    """A sentence on what was found last and holds no more; empty where nothing was."""
    last = next((look for look in looks[::-1] if look["word"] in words), None)
    if last is None:
        return ""
    arm = "the policy" if last["word"] == POLICY else "control"
    return f" After cycle {last['cycle']} {arm} was better, ROI {_lift(last)}; that no longer stands."


def _better(word: str) -> str:
    return "The policy is better" if word == POLICY else "Control is better"


def _lift(one: dict[str, Any]) -> str:
    return interval_of(one["lift"], one["low"], one["high"])


def _balance(one: Experiment, count: dict[str, int]) -> dict[str, Any]:
    ratio: dict[str, Any] = {"users": count, "wanted": dict(one.weights)}
    total = sum(count.values())
    if total == 0:
        reason = "the router has seen no user: every question named its arm, or the experiment has just begun."
        if one.ended:
            reason = "the router saw no user of it before its end: every question named its arm."
        return ratio | {"p": None, "verdict": "not applicable", "reason": reason}
    if total < FEWEST_USERS:
        reason = f"{total} user{'s' * (total != 1)}; {FEWEST_USERS} are needed: {FEWEST_USERS - total} more."
        if one.ended:
            reason = f"{total} user{'s' * (total != 1)} by its end; {FEWEST_USERS} were needed."
        return ratio | {"p": None, "verdict": "insufficient data", "reason": reason}
    test = balance(count, {arm: one.weights.get(arm, 0.0) for arm in count})
    split = " : ".join(f"{count[arm] / total:.1%}" for arm in count)
    wanted = " : ".join(f"{one.weights.get(arm, 0.0):.1%}" for arm in count)
    reason = f"{total:,} users are split {split} where {wanted} was wanted (p = {test.p:.2g})."
    if test.blocks:
        reason += " Find where users are lost, mend it, and begin a new experiment with a new salt."
    return ratio | {"p": test.p, "verdict": "imbalance" if test.blocks else "balanced", "reason": reason}
