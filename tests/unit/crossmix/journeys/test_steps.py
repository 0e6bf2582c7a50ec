"""The steps of task `journeys` on a small generated log, and the facts of that log which the guide tells."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from components.declared import steps
from crossmix.artifacts import GateTable, JourneysJudged, JourneysTrained, TaskJudged
from crossmix.config import load
from crossmix.journeys import bundled, seen, step_train
from crossmix.journeys.gates.case import judged as gates_of
from crossmix.journeys.prepared import prepare, read_log
from crossmix.journeys.step_train import train
from crossmix.journeys.windows import TEST, TRAIN, VALIDATION
from crossmix.report.inputs import ReportInputs
from crossmix.report.page import render
from crossmix.schema import Dataset
from tests.support.html_pages import words
from tests.support.journeys_run import SMALL, Ran, chain
from tests.support.recorded_config import covers, recorded
from tests.unit.crossmix.journeys.gates.test_gates import GOOD


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    return chain(tmp_path_factory.mktemp("journeys"))


def test_users_that_ingest_holds_out_are_never_learned_from(ran: Ran) -> None:
    log = read_log(ran.config, Dataset(ran.dataset))
    assert not (log.held_out_U & log.ready.is_of(TRAIN)).any()
    assert log.held_out_U[log.ready.part_U != TRAIN].all()
    few = read_log(load("laptop", [*SMALL, "journeys.most_users=200"]), Dataset(ran.dataset)).ready
    assert [int(few.is_of(part).sum()) for part in (TRAIN, VALIDATION, TEST)] == [200, 100, 200]
    whole = dict(zip(log.ready.events.users, log.ready.part_U.tolist(), strict=True))
    assert all(whole[user] == part for user, part in zip(few.events.users, few.part_U.tolist(), strict=True))
    frame = Dataset(ran.dataset).frame("impressions", ["user_id", "campaign_id", "timestamp"])
    assert len(log.campaign_R) == len(log.ready.events) == len(frame)


def test_the_steps_leave_a_bundle_with_its_gates_and_figures(ran: Ran) -> None:
    bundle, gates = bundled.load(ran.evaluation / "bundle"), GateTable.load(ran.evaluation)
    assert bundle.manifest["gates"] == [json.loads(json.dumps(one)) for one in gates.plain()["gates"]]
    assert set(bundle.prices) == {"campaign_1", "campaign_2"}
    for prices in bundle.prices.values():
        assert prices.shadow > 0
        assert min(prices.cost_C) > 0
        assert min(prices.worth_conversion_C) > 0
    judged, figures = JourneysJudged.load(ran.evaluation), TaskJudged.load(ran.evaluation)
    assert figures.figures[figures.judged].mean == judged.auc
    found = {gate.name: gate for gate in gates.gates}
    for name in ("journey.apart", "journey.causal", "journey.budget", "journey.value.log", "journey.value.eq17"):
        assert found[name].verdict == "pass", found[name].detail
    assert judged.players["oracle"].revenue_per_cost > judged.players["response"].revenue_per_cost
    assert judged.players["response"].revenue_per_cost > 2 * judged.players["log"].revenue_per_cost


def test_the_demo_log_s_channel_is_independent_of_the_user_so_that_imitation_has_nothing_to_learn(ran: Ran) -> None:
    assert "independent of the journey" in JourneysTrained.load(ran.policy).told
    gate = next(one for one in GateTable.load(ran.evaluation).gates if one.name == "journey.imitation")
    assert (gate.verdict, gate.required) == ("not applicable", True)


def test_the_best_users_of_the_demo_log_click_far_more_than_all(ran: Ran) -> None:
    """1.8 times on the whole log; here on some 500 users, whose ratio has a deviation of about 0.1."""
    assert 1.4 < JourneysJudged.load(ran.evaluation).best_users < 2.3


def test_the_train_step_declares_what_it_reads(ran: Ran, tmp_path: Path) -> None:
    few = ("journeys.most_users=300", "journeys.learning.epochs=1")
    config, reads = recorded(load("laptop", [*SMALL, *few]))
    reads.clear()
    for name in ("out", "work"):
        (tmp_path / name).mkdir()
    train(config, ran.dataset, tmp_path / "out", tmp_path / "work")
    step = steps(task="journeys")["train"]
    assert not [key for key in reads if not any(covers(one, key) for one in (*step.settings, *step.aside))]
    unread = [one for one in step.settings if not any(covers(one, key) for key in reads)]
    assert set(unread) <= {"task", "journeys.mtorl", "journeys.learning"}, "sections are handed on, and read in there"


def test_a_test_user_in_training_is_caught_by_what_training_wrote_down(
    ran: Ran, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Training is handed a log of which one test user was put among its own; the gates part the log as ever."""
    config = load("laptop", [*SMALL, "journeys.most_users=300", "journeys.learning.epochs=1"])
    log = read_log(config, Dataset(ran.dataset))
    ready = log.ready
    judged = np.unique(ready.events.user_R[ready.test.row_S])
    part_U = ready.part_U.copy()
    part_U[judged[0]] = TRAIN
    leaky = prepare(ready.events, part_U, config.journeys, memory=config.data.sequence_length)
    monkeypatch.setattr(step_train, "read_log", lambda *_: replace(log, ready=leaky))
    for name in ("out", "work"):
        (tmp_path / name).mkdir()
    train(config, ran.dataset, tmp_path / "out", tmp_path / "work")
    found = seen.parts(log, tmp_path / "out")
    assert found.learned & found.tested == set(seen.hashes([ready.events.users[judged[0]]]).tolist())
    case = replace(GOOD, **{name: getattr(found, name) for name in seen.Parts.__slots__})
    gate = next(one for one in gates_of(case) if one.name == "journey.apart")
    assert (gate.verdict, gate.value) == ("fail", 1.0)


def test_the_report_tells_of_players_and_journeys(ran: Ran, tmp_path: Path) -> None:
    text = words(render(ReportInputs.collect(ran.folders), tmp_path / "report.html"))
    assert "channels for users, journey by journey" in text
    for said in ("MTORL argmax", "Revenue per cost", "imitation has nothing to learn", "journey.causal"):
        assert said in text


def test_a_spend_history_has_no_users(ran: Ran, tmp_path: Path) -> None:
    meta = json.loads((ran.dataset / "meta.json").read_text()) | {"aggregate": True}
    (tmp_path / "meta.json").write_text(json.dumps(meta))
    with pytest.raises(ValueError, match="has no users"):
        read_log(ran.config, Dataset(tmp_path))


def test_users_by_their_own_clicks_are_ranked_on_other_exposures(ran: Ran) -> None:
    """Own clicks of the first half of each user's exposures rank its second half, so that the ratio is no memory."""
    events = read_log(ran.config, Dataset(ran.dataset)).ready.events
    place = np.arange(len(events)) - events.first_R
    count = np.bincount(events.user_R)[events.user_R]
    early = place < count // 2
    users = len(events.users)
    clicks, shown = (
        np.bincount(events.user_R[early], of, users) for of in (events.clicked_R[early], np.ones(early.sum()))
    )
    share = (clicks + 1) / (shown + 10)
    best = np.zeros(users, bool)
    best[np.argsort(-share, kind="stable")[: round(0.3 * users)]] = True
    late = ~early
    assert events.clicked_R[late & best[events.user_R]].mean() / events.clicked_R[late].mean() == pytest.approx(
        1.8, abs=0.3
    )
