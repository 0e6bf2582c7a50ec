from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import f1_score, precision_score, recall_score, roc_auc_score

from crossmix.journeys.references import Answers, of_logs
from crossmix.journeys.score import auc, draws, score
from crossmix.journeys.windows import cut
from tests.support.journeys import events, table


def test_figures_are_scikit_learns() -> None:
    of = events(60)
    windows = cut(of, 8)
    steps = table(of, windows.row_S)
    rng = np.random.default_rng(0)
    log_SC = np.log(rng.dirichlet(np.ones(3), len(windows.row_S)))
    click_S = rng.random(len(log_SC)).round(1)
    found = score(of_logs(log_SC, click_S), steps, windows)
    true, told = steps.next_channel(windows.row_S), log_SC.argmax(1)
    for name, function in (("f1", f1_score), ("precision", precision_score), ("recall", recall_score)):
        assert found[name].value == pytest.approx(function(true, told, average="macro", zero_division=0))
        place = np.nonzero(windows.scored_NT)[1]
        by_place = [function(true[place == at], told[place == at], average="macro", zero_division=0) for at in range(8)]
        assert found[f"{name} per step"].value == pytest.approx(np.mean(by_place))
    assert found["accuracy"].value == pytest.approx(np.mean(true == told))
    assert found["nll"].value == pytest.approx(-log_SC[np.arange(len(true)), true].mean())
    assert found["auc"].value == pytest.approx(roc_auc_score(steps.next_click(windows.row_S), click_S))
    clicked = steps.next_click(windows.row_S)
    assert found["agreed clicks"].value == pytest.approx(np.mean((true == told) & clicked))
    place, chosen = np.nonzero(windows.scored_NT)[1], np.zeros(len(true), bool)
    for at in range(8):
        here = np.flatnonzero(place == at)
        chosen[here[np.argsort(-click_S[here], kind="stable")[: int(np.ceil(3 / 8 * len(here)))]]] = True
    assert found["agreed clicks of the best"].value == pytest.approx(np.mean(((true == told) & clicked)[chosen]))
    for figure in found.values():
        assert figure.low < figure.value < figure.high


def test_where_a_model_ranks_nobody_another_may() -> None:
    of = events(60)
    windows = cut(of, 8)
    steps = table(of, windows.row_S)
    right = Answers(steps.next_channel(windows.row_S), None, None)
    clicked = steps.next_click(windows.row_S).astype(float)
    assert "agreed clicks of the best" not in score(right, steps, windows)
    found = score(right, steps, windows, rank_S=clicked)
    assert found["agreed clicks"].value == pytest.approx(clicked.mean())
    assert found["agreed clicks of the best"].value > 0.95, "nearly all of the best are clicked, as half of all are"


def test_a_channel_that_is_neither_true_nor_told_does_not_count() -> None:
    of = events(30)
    windows = cut(of, 8)
    steps = table(of, windows.row_S)
    true = steps.next_channel(windows.row_S)
    told = np.where(true == 2, 1, true)
    found = score(Answers(told, None, None), steps, windows)
    assert found["f1"].value == pytest.approx(f1_score(true, told, average="macro"))
    assert set(found) == {*(f"{name}{which}" for name in ("f1", "precision", "recall") for which in ("", " per step")),
                          "accuracy", "agreed clicks"}  # fmt: skip


def test_intervals_are_of_users() -> None:
    """200 users of 50 equal steps each: the interval is that of 200 values, not of 10,000."""
    user_S = np.repeat(np.arange(200), 50)
    value_U = np.random.default_rng(1).normal(size=200)
    code_S, times_DU = draws(user_S, count=2_000)
    from crossmix.journeys.score import figure, mean

    found = figure(mean(value_U[user_S], code_S, times_DU))
    assert found.high - found.low == pytest.approx(2 * 1.96 * value_U.std() / np.sqrt(200), rel=0.08)


def test_drawn_users_count_as_often_as_drawn() -> None:
    score_S, true_S = np.array([0.1, 0.4, 0.4, 0.8, 0.3]), np.array([0, 1, 0, 1, 1], bool)
    code_S, times_DU = np.array([0, 0, 1, 1, 2]), np.array([[1.0, 1, 1], [2, 0, 3]])
    found = auc(score_S, true_S, code_S, times_DU)
    picked = np.array([0, 1, 0, 1, 4, 4, 4])
    assert found[0] == pytest.approx(roc_auc_score(true_S, score_S))
    assert found[1] == pytest.approx(roc_auc_score(true_S[picked], score_S[picked]))
