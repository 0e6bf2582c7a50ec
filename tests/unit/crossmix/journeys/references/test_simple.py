"""References in closed form."""

from __future__ import annotations

import numpy as np
import pytest

from crossmix.journeys import references
from crossmix.journeys.references import mixture, own_clicks
from crossmix.journeys.windows import cut
from tests.support.journeys import events, table

OF = events(80)
WINDOWS = cut(OF, 10)
STEPS = table(OF, WINDOWS.row_S)


def test_every_reference_has_its_file() -> None:
    from pathlib import Path

    files = {file.stem for file in Path(references.__file__).parent.glob("*.py")} - {"__init__", "transitions"}
    assert files == set(references.NAMES.values())


@pytest.mark.parametrize("name", ["repeat-last", "markov", "cache mixture"])
def test_probabilities_add_up(name: str) -> None:
    answers = references.load(name)(STEPS, WINDOWS, WINDOWS, 0)(WINDOWS)
    assert answers.log_SC is not None
    np.testing.assert_allclose(np.exp(answers.log_SC).sum(axis=1), 1)
    assert len(answers.log_SC) == len(WINDOWS.row_S)


def test_repeat_last_repeats() -> None:
    answers = references.load("repeat-last")(STEPS, WINDOWS, WINDOWS, 0)(WINDOWS)
    now, after = OF.channel_R[WINDOWS.row_S], OF.channel_R[WINDOWS.row_S + 1]
    np.testing.assert_array_equal(answers.choice_S, now)
    assert answers.log_SC is not None
    stays = (np.sum(now == after) + 1) / (len(now) + 2)
    np.testing.assert_allclose(answers.log_SC[np.arange(len(now)), now], np.log(stays))


def test_markov_counts_transitions() -> None:
    answers = references.load("markov")(STEPS, WINDOWS, WINDOWS, 0)(WINDOWS)
    now, after = OF.channel_R[WINDOWS.row_S], OF.channel_R[WINDOWS.row_S + 1]
    assert answers.log_SC is not None
    expected = (np.sum((now == 1) & (after == 2)) + 1) / (np.sum(now == 1) + 3)
    np.testing.assert_allclose(np.exp(answers.log_SC[now == 1, 2]), expected)


def test_own_shares_are_those_of_the_journey_so_far() -> None:
    share_SC = mixture.own_share(STEPS, WINDOWS.row_S)
    for at in (0, 7, 100, len(share_SC) - 1):
        row = int(WINDOWS.row_S[at])
        own = OF.channel_R[OF.first_R[row] : row + 1]
        np.testing.assert_allclose(share_SC[at], np.bincount(own, minlength=3) / len(own))


def test_expectation_maximisation_finds_the_weights_that_drew() -> None:
    rng = np.random.default_rng(3)
    component_SCK = rng.dirichlet(0.3 * np.ones(6), (40_000, 3)).transpose(0, 2, 1)
    planted = np.array([0.6, 0.3, 0.1])
    drawn = (rng.random(len(component_SCK))[:, None] > np.cumsum(component_SCK @ planted, axis=1)).sum(1).clip(max=5)
    found = mixture.weights(component_SCK[np.arange(len(drawn)), drawn])
    np.testing.assert_allclose(found, planted, atol=0.02)


def test_own_clicks_are_drawn_to_the_mean() -> None:
    clicks_S, shown_S = own_clicks.own(STEPS, WINDOWS.row_S)
    answers = references.load("own click share")(STEPS, WINDOWS, WINDOWS, 0)(WINDOWS)
    assert answers.click_S is not None
    rate = (STEPS.next_click(WINDOWS.row_S).sum() + 1) / (len(clicks_S) + 2)
    fits = [np.allclose(answers.click_S, (clicks_S + n * rate) / (shown_S + n)) for n in own_clicks.PSEUDO]
    assert sum(fits) == 1
    # Users' rates are uniform on 0 to 1, a beta(1, 1): two exposures' worth of the mean.
    assert own_clicks.PSEUDO[fits.index(True)] in (1.0, 2.0, 3.0)


def test_the_nearest_neighbour_remembers_what_it_was_given() -> None:
    answers = references.load("1-NN")(STEPS, WINDOWS, WINDOWS, 0)(WINDOWS)
    assert np.mean(answers.choice_S == STEPS.next_channel(WINDOWS.row_S)) > 0.99
