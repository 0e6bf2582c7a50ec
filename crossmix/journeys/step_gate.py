"""The gate step of task `journeys`: the response model is judged on test users, and its bundle is saved."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np

from crossmix.artifacts import GateTable, TaskFigure, TaskJudged
from crossmix.artifacts.journeys import ESTIMATED, Earned, JourneysJudged
from crossmix.bundle import manifest
from crossmix.config import Config
from crossmix.journeys import bundled, calibration, campaign, choices, measured, seen, stored
from crossmix.journeys.answer import Answer
from crossmix.journeys.arena import GENERATED, grounds, played, players
from crossmix.journeys.bundled import JourneyBundle
from crossmix.journeys.gates.case import Case, judged
from crossmix.journeys.gates.played import LOG, RESPONSE, Block, lead, per_cost
from crossmix.journeys.leak import leak
from crossmix.journeys.learn import predict
from crossmix.journeys.log import JourneyError
from crossmix.journeys.logged import ROBUST, Logged
from crossmix.journeys.mtorl import Mtorl
from crossmix.journeys.players import initial_policy
from crossmix.journeys.prepared import Log, Prepared, read_log
from crossmix.journeys.response import Response
from crossmix.journeys.score import Figure
from crossmix.journeys.told import tells
from crossmix.journeys.windows import TEST, TRAIN, VALIDATION
from crossmix.schema import Dataset
from crossmix.verdicts import passed

BEST = 0.3
"""Share of users whose click rate is held against that of all."""


def judge(config: Config, dataset: Path, policy: Path, out: Path) -> GateTable:
    """Judge the response model; write bundle/, journeys.json, figures.json and gates.json into `out` (exists, empty).

    Args:
        dataset: what the ingest step wrote.
        policy: what the train step wrote.

    Raises:
        JourneyError: the log or the model cannot be read, or nobody is there to judge on.
    """
    settings, log = config.journeys, read_log(config, Dataset(dataset))
    ready, seed, resamples = log.ready, settings.learning.seed, settings.gates.bootstrap
    if not len(ready.test.row_S):
        raise JourneyError(
            "user_id: no test user has two exposures, so that nothing can be judged; pass a longer log, or raise "
            "data.holdout_users"
        )
    response, mtorl = stored.load(policy, settings)
    bundle = _saved(config, log, response, out)
    blocks: tuple[Block, ...] = ()
    world = ""
    if config.data.source == GENERATED:
        found = grounds(config, log, settings.gates.blocks, seed=seed)
        world = found[0].world.label
        blocks = played(config, found, players(config, ready, response, mtorl), bundle, seed)
    said = measured.served_at(bundle, ready.events, ready.test.row_S)
    clicks_told = calibration.told(ready, said, bundle.prices, log.campaign_R, seed, resamples)
    test_U = ready.is_of(TEST)
    test_R = test_U[ready.events.user_R]
    initial_C = initial_policy(mtorl, ready.table, ready.learn, settings.allocation.alpha)
    users = seen.parts(log, policy)
    case = Case(
        settings=settings,
        learned=users.learned,
        stopped=users.stopped,
        tested=users.tested,
        held_out=users.held_out,
        leak=leak(ready, response, bundle, seed),
        imitation=measured.imitation(ready, mtorl, seed, resamples),
        told=tells(ready.table, ready.learn, ready.test),
        response=clicks_told,
        blocks=blocks,
        paced=campaign.campaigns(
            bundle.prices,
            measured.last_answers(bundle, ready.events, test_U),
            ready.events.rows(np.flatnonzero(test_R)),
            log.campaign_R[test_R],
            settings.allocation,
            seed,
        ),
        logged=choices.of_log(log, bundle, initial_C, settings.allocation, seed),
        latency_ms=measured.latency_ms(bundle, ready, settings),
    )
    gates = judged(case)
    rows = [asdict(gate) for gate in gates]
    manifest.annotate(out / "bundle", rows, {"training_seed": seed})
    JourneysJudged(
        users=len(case.tested),
        steps=len(ready.test.row_S),
        auc=_value(clicks_told.auc),
        own_auc=_value(clicks_told.own_auc),
        reference_auc=_value(clicks_told.reference_auc),
        slope=clicks_told.slope,
        conversion_slope=clicks_told.conversion_slope,
        conversion_slope_error=clicks_told.conversion_slope_error,
        conversions=clicks_told.conversions,
        click_ratio=_value(clicks_told.click_ratio),
        conversion_ratio=_value(clicks_told.conversion_ratio),
        value_ratio=_value(clicks_told.value_ratio),
        imitation=case.imitation.value,
        told=case.told.sentence,
        world=ESTIMATED if not blocks and case.logged else world,
        players=_earned(blocks) if blocks else _estimated(case.logged),
        best_users=best_users(ready, bundle),
        agreement=agreement(ready, mtorl),
        shadow={name: one.shadow for name, one in bundle.prices.items()},
    ).save(out)
    _figures(case, ready, config.data.source == GENERATED).save(out)
    table = GateTable.of({"gates": rows, "passed": passed(gates)})
    table.save(out)
    return table


def _saved(config: Config, log: Log, response: Response, out: Path) -> JourneyBundle:
    """The bundle; prices are told by training users, lambda by what the model says of validation users."""
    ready = log.ready
    of_R = ready.is_of(TRAIN)[ready.events.user_R]
    validation = measured.of_users(ready.events, np.flatnonzero(ready.is_of(VALIDATION)))
    prices = measured.prices_of(
        ready.events.rows(np.flatnonzero(of_R)),
        log.campaign_R[of_R],
        response.answer(validation),
        config.journeys.allocation,
        log.currency,
    )
    return bundled.save(out / "bundle", response, config=config, prices=prices, data_digest=log.digest)


def best_users(ready: Prepared, bundle: JourneyBundle) -> float:
    """Click rate of the `BEST` test users by predicted response over that of all.

    Each user is ranked by its first half of exposures and judged by what it did in the second.
    """
    events = ready.events
    row_S = ready.test.row_S
    user_S = events.user_R[row_S]
    user, first, count = np.unique(user_S, return_index=True, return_counts=True)
    middle = row_S[first + (count - 1) // 2]
    answer: Answer = measured.served_at(bundle, events, middle)
    order = np.argsort(-answer.click_UC.mean(1), kind="stable")
    best_U = np.zeros(len(events.users), bool)
    best_U[user[order[: max(1, round(BEST * len(user)))]]] = True
    cut_U = np.full(len(events.users), -1)
    cut_U[user] = middle
    later_S = row_S >= cut_U[user_S]
    clicked_S = events.clicked_R[row_S + 1]
    whole = clicked_S[later_S].mean()
    return float(clicked_S[later_S & best_U[user_S]].mean() / whole) if whole > 0 else 1.0


def agreement(ready: Prepared, mtorl: Mtorl) -> dict[str, float]:
    """The seed's reward on test users' steps: clicks where a model's channel is the log's, over exposures."""
    events, row_S = ready.events, ready.test.row_S
    said_S = predict(mtorl, ready.table, ready.test)[0].argmax(1)
    clicked_S, channel_S = events.clicked_R[row_S + 1], events.channel_R[row_S + 1]
    return {
        "MTORL": float((clicked_S & (said_S == channel_S)).mean()),
        "log": float(clicked_S.mean()),
        "repeat last": float((clicked_S & (events.channel_R[row_S] == channel_S)).mean()),
    }


def _earned(blocks: tuple[Block, ...]) -> dict[str, Earned]:
    if not blocks:
        return {}
    names = [one.name for one in blocks[0].played]
    found = {}
    for name in names:
        own = per_cost(blocks, name)
        spent = float(np.mean([block.of(name).cost / block.of(name).budget for block in blocks]))
        found[name] = Earned(revenue_per_cost=own.value, low=own.low, high=own.high, spent=spent)
    return found


def _estimated(logged: Logged | None) -> dict[str, Earned]:
    """The same by propensities; the log itself spends what its exposures cost, of which others may spend a part."""
    if logged is None:
        return {}
    own = logged.log
    found = {LOG: Earned(revenue_per_cost=own.value, low=own.low, high=own.high, spent=1.0)}
    for name, one in logged.policies.items():
        rate = one.per_cost[ROBUST]
        found[name] = Earned(revenue_per_cost=rate.value, low=rate.low, high=rate.high, spent=one.spent.value)
    return found


def _value(found: Figure | None) -> float | None:
    return None if found is None else found.value


def _shown(found: Figure | None, label: str, meaning: str, otherwise: float = 1.0) -> TaskFigure:
    """A figure to show; where nothing happened that could tell it, what would be said without a model, no interval."""
    if found is None:
        return TaskFigure(label=label, mean=otherwise, ci95=None, meaning="not told: nothing of the kind happened")
    return TaskFigure(label=label, mean=found.value, ci95=(found.low, found.high), meaning=meaning)


def _figures(case: Case, ready: Prepared, generated: bool) -> TaskJudged:
    """What summary, terminal, report and registry show."""
    told = case.response
    shown = {
        "click_auc": _shown(
            told.auc, "AUC of the click", "at the channel that the log took, users that nothing saw", 0.5
        ),
        "auc_lead": _shown(
            told.lead, "Ahead of own click share", "of AUC; the share with an intercept for that channel", 0.0
        ),
        "own_auc": _shown(told.own_auc, "AUC of own click share", "without the channel", 0.5),
        "calibration_slope": TaskFigure(
            label="Calibration slope",
            mean=told.slope,
            ci95=(told.slope - 1.96 * told.slope_error, told.slope + 1.96 * told.slope_error),
            meaning="log-odds of clicks on those predicted; 1: as sure as it may be",
        ),
        "click_ratio": _shown(told.click_ratio, "Clicks, predicted over observed", "test users; 1 is right"),
        "conversion_ratio": _shown(told.conversion_ratio, "Conversions, predicted over observed", "the same"),
        "value_ratio": _shown(told.value_ratio, "Value, predicted over observed", "the same, by campaigns' worths"),
    }
    headline = "No click of test users tells how well clicks are told."
    if told.auc is not None and told.lead is not None:
        headline = (
            f"Clicks are told with an AUC of {told.auc.value:.3f}, {told.lead.value:+.4f} over own click share on "
            "the same channel."
        )
    if case.blocks:
        own, over = per_cost(case.blocks, RESPONSE), lead(case.blocks, LOG)
        shown |= {
            "revenue_per_cost": TaskFigure(
                label="Revenue per cost",
                mean=own.value,
                ci95=(own.low, own.high),
                meaning="of the response model with a shadow price, planted world",
            ),
            "lead_over_log": TaskFigure(
                label="Ahead of the log's policy",
                mean=over.value,
                ci95=(over.low, over.high),
                meaning="in revenue per cost, paired by group",
            ),
        }
        log = per_cost(case.blocks, LOG)
        headline += (
            f" Its channels and users earn {own.value:.2f} per cost where the log's policy earns {log.value:.2f}."
        )
    return TaskJudged(
        task="journeys",
        headline=headline,
        judged="click_auc",
        figures=shown,
        generated=generated,
        rows=len(ready.events),
    )
