"""The answer of a predictor: the split of a campaign's cycle in one arm, with amounts, reasons and density.

The policy arm asks the bundle, explores within its bound, and keeps every limit; the control arm serves the plan's
static split. A campaign with an override (the kill switch, a given split) serves that in both arms, at once. An answer
that holds for everybody in a cycle is kept until the bundle, the campaign or its state changes.

Shapes: B batch, P platforms, S state, X statistics.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from crossmix import allocate, constraints
from crossmix.config import ConfigError
from crossmix.constraints import InfeasibleError
from crossmix.exploration import Exploration
from crossmix.metrics import ARMS, CANARY, EVERY_ARM
from crossmix.reasons import interval_of, reasoned
from crossmix.unusual import told
from serving.allocation import explain, records
from serving.allocation.plans import Plans
from serving.allocation.probe import probed
from serving.allocation.question import Question, QuestionError
from serving.allocation.task import Task, begins_of, stopped_by
from serving.allocation.unseen import Unseen
from serving.feedback.gaps import NOTHING, Missing
from serving.live import states

if TYPE_CHECKING:
    from serving.live.champion import Serving
    from serving.live.live import Live
    from serving.live.snapshot import Planned

Array = NDArray[Any]
POLICY, CONTROL = ARMS
_TOLD = frozenset({"campaign_elapsed", "campaign_consumed"})
"""Statistics of money gone that stay as a question gives them."""


class Answerer:
    """Answers questions from what `live` holds."""

    def __init__(self, live: Live) -> None:
        self.live = live
        self._plans = Plans()
        self._kept: dict[tuple[str, str, int | None], tuple[tuple[Any, ...], tuple[float, float], dict[str, Any]]] = {}

    def answer(self, questions: Sequence[Question], arm: str) -> list[dict[str, Any]]:
        """One prediction per question, in order.

        Args:
            arm: of the questions that name none.

        Raises:
            QuestionError: one of them cannot be answered; then none is.
        """
        arms = [question.arm or arm for question in questions]
        if CANARY not in arms:
            return self._answered(questions, arm, self.live.champion.current)
        # Bundle by bundle: those of a canary's users that the version on trial answers, and the rest.
        serving = [self._serving(question, one) for question, one in zip(questions, arms, strict=True)]
        answers: dict[int, dict[str, Any]] = {}
        for one in dict.fromkeys(map(id, serving)):
            rows = [row for row, served in enumerate(serving) if id(served) == one]
            answers |= zip(rows, self._answered([questions[row] for row in rows], arm, serving[rows[0]]), strict=True)
        return [answers[row] for row in range(len(questions))]

    def _serving(self, question: Question, arm: str) -> Serving:
        """What answers a question of an arm."""
        planned = self.live.snapshot.planned.get(question.campaign_id)
        if arm != CANARY or planned is None:
            return self.live.champion.current
        cycle = planned.campaign.cycle(self.live.clock()) if question.cycle is None else question.cycle
        return self.live.trial.serving(planned.campaign.begins(cycle))

    def _answered(self, questions: Sequence[Question], arm: str, serving: Serving) -> list[dict[str, Any]]:
        """`answer` by one bundle."""
        now = self.live.clock().timestamp()
        troubles = self.live.troubles()
        answers: list[dict[str, Any] | None] = []
        lacking: list[Missing] = []
        tasks: list[tuple[int, Task]] = []
        for row, question in enumerate(questions):
            missing = self._missing(question.campaign_id, question.arm or arm, now)
            kept = self._keeping(question, question.arm or arm, serving, missing, now)
            answers.append(kept)
            lacking.append(missing)
            if kept is None:
                tasks.append((row, self._task(question, question.arm or arm, serving, missing, now)))
        for (row, task), answer in zip(tasks, self._decide([task for _, task in tasks], serving), strict=True):
            answers[row] = answer
            self._keep(task, answer)
        away = [dict(trouble) for trouble in troubles]
        return [
            {**answer, "degraded": [*away, *map(dict, missing.troubles)] if missing.troubles else away}
            for answer, missing in zip(answers, lacking, strict=True)
            if answer is not None
        ]

    # ---- what holds for everybody ------------------------------------------------------------------------------------

    def _missing(self, campaign: str, arm: str, now: float) -> Missing:
        """What feedback lacks of the campaign that is asked about."""
        planned = self.live.snapshot.planned.get(campaign)
        return NOTHING if planned is None or arm not in EVERY_ARM else self.live.missing(planned.campaign, arm, now)

    def _epoch(self, campaign: str, arm: str, serving: Serving, missing: Missing) -> tuple[Any, ...]:
        """The objects that an answer follows from: each is replaced, never changed."""
        snapshot = self.live.snapshot
        return (
            serving,
            snapshot.planned.get(campaign),
            self.live.state(campaign, arm),
            self.live.states.awaited(campaign),
            snapshot.experiment,
            missing,
            self.live.earlier.last(campaign, arm),
        )

    def _keeping(
        self, question: Question, arm: str, serving: Serving, missing: Missing, now: float
    ) -> dict[str, Any] | None:
        if not question.plain:
            return None
        kept = self._kept.get((question.campaign_id, arm, question.cycle))
        if kept is None or not kept[1][0] <= now < kept[1][1]:
            return None
        epoch = self._epoch(question.campaign_id, arm, serving, missing)
        return kept[2] if all(one is other for one, other in zip(kept[0], epoch, strict=True)) else None

    def _keep(self, task: Task, answer: dict[str, Any]) -> None:
        if not task.question.plain:
            return
        if len(self._kept) > 10_000:
            self._kept.clear()
        campaign = task.planned.campaign
        within = (-np.inf, np.inf)
        if task.question.cycle is None:
            # Both ends: a clock that ran ahead and came back leaves answers of cycles to come.
            within = campaign.begins(task.cycle).timestamp(), campaign.ends(task.cycle).timestamp()
        self._kept[campaign.campaign_id, task.arm, task.question.cycle] = (task.epoch, within, answer)

    # ---- what a question needs ---------------------------------------------------------------------------------------

    def _task(self, question: Question, arm: str, serving: Serving, missing: Missing, now: float) -> Task:
        if arm not in EVERY_ARM:
            raise QuestionError(f"{question.where}.arm: {arm!r}; use {', '.join(EVERY_ARM)}")
        # Taken first: what is replaced while the answer is made only makes it be made again.
        epoch = self._epoch(question.campaign_id, arm, serving, missing)
        planned = epoch[1]
        if planned is None:
            known = ", ".join(sorted(self.live.snapshot.planned)[:20]) or "none yet: create one with crossmix campaign"
            raise QuestionError(f"{question.where}.campaign_id: {question.campaign_id!r} is unknown; known: {known}")
        bundle, campaign = serving.bundle, planned.campaign
        running = campaign.cycle(datetime.fromtimestamp(now, UTC))
        cycle = running if question.cycle is None else question.cycle
        start = begins_of(campaign, cycle, question)
        limits = planned.limits
        if question.changes_limits:
            try:
                limits = allocate.changed(limits, bundle.platforms, question.change)
            except ConfigError as error:
                raise QuestionError(f"{question.where}.{error}") from None
        state_S, source, as_of = self._state(question, planned, arm, serving, cycle)
        statistics_X = bundle.layout.statistics(state_S)
        share_P = bundle.layout.of_platforms(statistics_X, "previous_share", len(bundle.platforms))
        previous_P = share_P.astype(np.float32) if abs(float(share_P.sum()) - 1) < 1e-3 else None
        target_P = self._target(planned, arm)
        # Overrides and the control's split are somebody's decision: steps and freezes do not hold them back.
        held_P = previous_P if target_P is None else None
        probes: list[str] = []
        if target_P is None and missing.silent:
            probe = self.live.config.limits.probe
            limits, probes = probed(limits, held_P, bundle.platforms, missing.silent, probe)
        low_BP, high_BP = constraints.box(limits, None if held_P is None else held_P[None])
        weight = self.live.weight(arm, start)
        money = weight * campaign.budget_of(cycle)
        goes = float(bundle.layout.of_campaign(statistics_X, "pace"))
        pace = goes if self.live.paced and source == states.OWN else 1.0
        budget = question.budget if question.budget is not None else money * pace
        waiting = self.live.experiment.waiting(start, campaign.ends(cycle))
        unread = [states.UNREAD] if source == states.COLD and self.live.states.awaited(question.campaign_id) else []
        notes = [*self.live.snapshot.notes, *unread, *waiting, *missing.notes, *probes]
        stopped = stopped_by(campaign, cycle)
        unseen = Unseen.of(bundle, campaign, explain.supply_part(campaign, cycle, weight))
        unseen.check(question, campaign.currency)
        if stopped is not None:
            budget = 0.0
            notes.append(stopped)
            reasons = [explain.sentence(stopped)]
        else:
            reasons = [] if question.budget is not None else explain.money(budget, money, pace, bundle.layout)
            reasons += map(explain.sentence, [*missing.notes, *probes])
        if question.state_S is None:
            # What this call decides is written into the state: limits, last shares, and money in units of the plan
            # that the policy has of the campaign.
            asked = question.budget is not None and money > 0
            previous_BP = None if previous_P is None else previous_P[None]
            coming = budget / money if asked else pace
            times = self._plans.times(bundle, campaign, bundle.layout.context(state_S))
            going = None if source != states.OWN or question.statistics.keys() & _TOLD else goes * times
            statistics_X = allocate.with_limits(bundle.layout, statistics_X, limits, previous_BP, coming)
            statistics_X = allocate.with_money(bundle.layout, statistics_X, going, coming * times)
            clamped_BX = bundle.layout.clamp(statistics_X[None], len(bundle.platforms))
            state_S = np.concatenate([bundle.layout.context(state_S), clamped_BX[0]])
        if campaign.campaign_id not in bundle.contexts:
            notes.append("the policy was trained without this campaign: its context is the mean of those it knows")
            # A caller's own state may say whose it is.
            if question.state_S is None and len(bundle.plans) > 1:
                like = self._plans.whose(bundle, campaign, bundle.layout.context(state_S))
                notes += [] if like is None else [f"it is answered by the plan of {like!r}"]
        task = Task(
            question, epoch, arm, planned, cycle, now, limits, held_P, low_BP[0], high_BP[0],
            state_S, budget, weight, source, as_of, notes, unseen, target_P,
        )  # fmt: skip
        over = unseen.over(campaign, budget)
        notes += over
        reasons += map(explain.sentence, over)
        # Of a state that a question brings, or of another cycle, nobody knows what was before.
        if question.state_S is None and not question.statistics and cycle == running:
            before = epoch[-1]
            task.asks_before = before is None or (before.cycle, before.bundle) != (cycle, bundle.digest)
            task.before_TDP = None if task.asks_before else before.told_TDP
        task.noise_P = self._noise(task, serving)
        task.reasons = reasons
        return task

    def _state(
        self, question: Question, planned: Planned, arm: str, serving: Serving, cycle: int
    ) -> tuple[Array, str, float]:
        """Encoded state (S,), where it comes from, and when its newest cycle ended."""
        if question.state_S is not None:
            return question.state_S, "request", 0.0
        campaign, layout = planned.campaign, serving.bundle.layout
        known = self.live.state(campaign.campaign_id, arm)
        if known is None:
            limits = planned.limits
            weekday = campaign.calendar.weekday(cycle)
            known = states.cold(layout, planned.static_P, limits.minimum_P, limits.maximum_P, weekday)
        context_D = self.live.context(serving.bundle, campaign.campaign_id)
        state_S = np.concatenate([context_D, known.statistics_S]).astype(np.float32)
        for name, value in question.statistics.items():
            layout.statistics(state_S)[layout.index(name)] = value
        return state_S, known.source, known.seconds

    def _target(self, planned: Planned, arm: str) -> Array | None:
        """The split that is served whatever the policy says; `None`: the policy's."""
        if planned.override_P is not None:
            return planned.override_P
        if arm == CONTROL or planned.campaign.paused or self.live.experiment.everybody == CONTROL:
            return planned.static_P
        return None

    def _noise(self, task: Task, serving: Serving) -> Array | None:
        wanted = task.question.explore
        if wanted is None:
            wanted = self.live.config.serving.explore and task.question.state_S is None
        if not wanted or task.target_P is not None:
            return None
        salt = self.live.experiment.at(task.planned.campaign.begins(task.cycle)).salt
        key = (salt, task.question.campaign_id, task.arm, task.cycle, serving.bundle.digest)
        return Exploration.of(self.live.config).keyed_noise(key, len(serving.bundle.platforms))

    # ---- the split and its reasons -----------------------------------------------------------------------------------

    def _decide(self, tasks: Sequence[Task], serving: Serving) -> list[dict[str, Any]]:
        try:
            return self._decided(tasks, serving)
        except InfeasibleError:
            # The bundle speaks of its batch: say whose limits it was.
            for task in tasks:
                try:
                    constraints.check(task.low_P[None], task.high_P[None], serving.bundle.platforms)
                except InfeasibleError as error:
                    raise QuestionError(f"{task.question.where}.{error}") from None
            raise

    def _decided(self, tasks: Sequence[Task], serving: Serving) -> list[dict[str, Any]]:
        bundle = serving.bundle
        # What is believed is asked for also where the split is somebody's: within limits that always leave one.
        asked = tasks if bundle.tells_belief else [task for task in tasks if task.target_P is None]
        answered: dict[int, explain.Answered] = {}
        if asked:
            zero_P, one_P = (np.full(len(bundle.platforms), edge, np.float32) for edge in (0.0, 1.0))
            boxes = [(task.low_P, task.high_P) if task.target_P is None else (zero_P, one_P) for task in asked]
            noise = None
            # Noise of zeros costs ONNX Runtime much more than none.
            if any(task.noise_P is not None for task in asked):
                noise = _stacked([zero_P if task.noise_P is None else task.noise_P for task in asked])
            low_BP, high_BP = (_stacked(edges) for edges in zip(*boxes, strict=True))
            decision = bundle.decision(_stacked([task.state_S for task in asked]), low_BP, high_BP, noise)
            shares, beliefs = decision.share_BM.astype(float), decision.beliefs
            for row, task in enumerate(asked):
                logits_P = decision.logits_BM[row] if task.target_P is None else None
                belief = None if beliefs is None else beliefs[row]
                answered[id(task)] = explain.Answered(shares[row], logits_P, belief)
        for task in tasks:
            if task.target_P is not None:
                target_P = task.target_P
                inside = ((target_P >= task.low_P - 1e-6) & (target_P <= task.high_P + 1e-6)).all()
                if not inside:
                    target_P = bundle.project(target_P[None], task.low_P[None], task.high_P[None])[0]
                    task.notes.append("the split was moved to keep the limits")
                belief = answered[id(task)].belief if id(task) in answered else None
                answered[id(task)] = explain.Answered(np.asarray(target_P, float), None, belief)
        return [self._told(task, answered[id(task)], serving) for task in tasks]

    def _told(self, task: Task, answered: explain.Answered, serving: Serving) -> dict[str, Any]:
        bundle, planned, share_P = serving.bundle, task.planned, answered.share_P
        table, belief, how = bundle.responses.get(planned.campaign.campaign_id), answered.belief, None
        part = explain.supply_part(planned.campaign, task.cycle, task.weight)
        if belief is not None and table is not None:
            how = explain.decided(task, answered, belief, part, bundle)
            if task.asks_before and told(belief.value_QP).any():
                self.live.earlier.want(planned.campaign.campaign_id, task.arm)
            table = bundle.responses.get(belief.usual, table)
        response = self.live.no_response
        if table is not None:
            response = explain.response(table, share_P, task.budget, part, belief)
        previous_BP = None if task.previous_P is None else task.previous_P[None]
        edges = task.low_P, task.high_P
        name = planned.campaign.campaign_id
        platforms = reasoned(
            bundle.platforms, task.limits, previous_BP, share_P, edges, response, task.budget, how,
            supply_known=name not in bundle.manifest.get("ever", ()),
            proved=bundle.proved(name, task.limits) if name in bundle.limits else None,
        )  # fmt: skip
        revenue = float(response.revenue_P.sum())
        beyond = task.unseen.beyond(bundle.platforms, share_P, task.budget, planned.campaign.currency)
        task.notes += beyond
        task.reasons += map(explain.sentence, beyond)
        known = table is not None and not task.unseen.too_much(task.budget)
        explored = task.noise_P is not None
        logits_P = answered.logits_P
        if logits_P is not None and task.noise_P is not None:
            logits_P = logits_P + task.noise_P
        density = None
        if task.noise_P is not None:
            density = Exploration.of(self.live.config).log_density_of_noise(task.noise_P)
        override = planned.campaign.override
        answer: dict[str, Any] = {
            "campaign_id": planned.campaign.campaign_id,
            "arm": task.arm,
            "cycle": task.cycle,
            "currency": planned.campaign.currency,
            "budget": task.budget,
            "allocation": [
                {
                    "platform": platform.platform,
                    "share": platform.share,
                    "amount": platform.amount,
                    "marginal_roi": platform.marginal_roi if known else None,
                    "marginal_roi_interval": list(platform.marginal_roi_interval) if known else None,
                    "expected_revenue": platform.expected_revenue if known else None,
                    "binding": platform.binding,
                    "reason": explain.reason(platform, task, known),
                    "differs": platform.differs,
                    "since": None if platform.since is None else [one._asdict() for one in platform.since],
                }
                for platform in platforms
            ],
            "expected_revenue": revenue if known else None,
            "expected_revenue_interval": list(interval_of(revenue, response.total_se)) if known else None,
            "bundle": bundle.digest,
            "version": serving.version,
            "explored": explored,
            "log_density": density,
            "override": None if override is None else records.override_of(override),
            "state_source": task.source,
            "state_as_of": datetime.fromtimestamp(task.as_of, UTC).isoformat() if task.as_of else None,
            "notes": task.notes,
            "reasons": explain.reasons(task, platforms, how, known, answers=table is not None),
            **({"belief": None, "moved": None} if how is None else how.as_dict()),
            "allocation_id": records.identity(task, share_P, serving),
        }
        if task.question.plain and task.question.cycle is None:
            key = (answer["campaign_id"], task.arm, task.cycle)
            self.live.recorder.served(
                key, answer["allocation_id"], lambda: records.row(task, share_P, logits_P, answer, bundle)
            )
        return answer


def _stacked(rows: Sequence[Array]) -> Array:
    return rows[0][None] if len(rows) == 1 else np.stack(rows)
