"""Results of a phase: read strictly, learned from, and what is left is planned with them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from crossmix.creators import effect, generated, results
from crossmix.creators.matrix import check
from crossmix.creators.prior import CREATOR, RESULT, prior
from crossmix.creators.settings import Effects, Solver
from crossmix.creators.worker import Planner
from crossmix.schema import DataError
from tests.support import creators

WORLD = generated.demo(400, seed=4)
BRIEF = creators.brief(budget=40_000, phases=["teaser", "launch", "sustain"], rules=[creators.ORDER])
PREDICTOR = effect.fit(WORLD.catalogue)


def _file(tmp_path: Path, *lines: str, header: str = "creator_id,phase,effect,cost") -> Path:
    path = tmp_path / "results.csv"
    path.write_text("\n".join([header, *lines]))
    return path


def _on(channel: str, place: int = 0) -> str:
    at = np.flatnonzero(WORLD.catalogue.channel_N == WORLD.catalogue.channels.index(channel))[place]
    return WORLD.catalogue.ids[at]


def test_what_is_not_over_is_left_out(tmp_path: Path) -> None:
    got = results.read(_file(tmp_path, "a,teaser,12,", "b,teaser,0,90", "c,launch,,50"), BRIEF)
    assert [(one.creator_id, one.effect, one.cost) for one in got] == [("a", 12, None), ("b", 0, 90)]
    assert [one.where for one in got] == ["results.csv: line 2", "results.csv: line 3"]


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (["a,teaser,many,"], "line 2: effect: 'many' is no number"),
        (["a,teaser,-1,"], "line 2: effect: '-1' is below 0; write a number of 0 or above"),
        (["a,teaser,5,-1"], "line 2: cost: '-1' is below 0"),
        (["a,premiere,5,"], "line 2: phase: 'premiere' is no phase of the brief; use teaser, launch, sustain"),
        (["a,teaser,5,", "a,launch,5,"], "line 3: creator_id: 'a' is there twice"),
        (["a,teaser,,", "b,launch,5,"], "line 2: effect: '' is missing, and launch is over; write what it gave"),
        (["a,launch,,", "b,launch,5,"], "line 2: effect: '' is missing, and launch is over"),
        (["a,teaser,,"], "effect: is empty in every line"),
    ],
)
def test_what_cannot_be_read_is_told(tmp_path: Path, lines: list[str], says: str) -> None:
    with pytest.raises(DataError) as told:
        results.read(_file(tmp_path, *lines), BRIEF)
    assert says in str(told.value)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("nobody", "r.csv: line 7: creator_id: 'nobody' is not in the catalogue; use its ids"),
        (_on("youtube"), "is of no channel and tier of the brief; use the brief that the plan was made for"),
    ],
)
def test_who_is_not_of_the_brief_is_told(name: str, says: str) -> None:
    with pytest.raises(DataError, match=says):
        results.after(WORLD.catalogue, PREDICTOR, BRIEF, [results.Result(name, "teaser", 5.0, None, "r.csv: line 7")])


def test_money_effects_and_phases_are_counted_in_their_cells() -> None:
    """A result in launch ends teaser too."""
    name, other = _on("instagram"), _on("tiktok", 3)
    given = [
        results.Result(name, "launch", 50.0, 700.0, "line 2"),
        results.Result(other, "teaser", 80.0, None, "line 3"),
    ]
    got = results.after(WORLD.catalogue, PREDICTOR, BRIEF, given)
    price = WORLD.catalogue.price_N[WORLD.catalogue.ids.index(other)]
    spent = got.before.spent_C.reshape(2, 3, 3)
    assert spent[0, 1].sum() == 700
    assert spent[1, 0].sum() == price
    assert spent.sum() == got.spent == 700 + price
    assert got.before.reached_C.reshape(2, 3, 3)[0, 1].sum() == 50
    assert got.before.closed == ("teaser", "launch")
    assert got.before.used == (name, other)
    assert got.gave == 130
    rows = [WORLD.catalogue.ids.index(one) for one in (name, other)]
    assert got.expected == pytest.approx(PREDICTOR.posterior(WORLD.catalogue).mean_N[rows].sum())
    assert len(got.catalogue.result_E) == len(WORLD.catalogue.result_E) + 2


def test_what_a_phase_gave_changes_what_the_others_are_expected_to_give() -> None:
    """Everybody gave a tenth of what the columns tell: the rest is expected to give less than before."""
    tiktok = np.flatnonzero(WORLD.catalogue.channel_N == WORLD.catalogue.channels.index("tiktok"))[:60]
    given = [
        results.Result(WORLD.catalogue.ids[at], "teaser", 0.1 * float(WORLD.effect_N[at]), None, "line 2")
        for at in tiktok
    ]
    got = results.after(WORLD.catalogue, PREDICTOR, BRIEF, given)
    others = np.flatnonzero(WORLD.catalogue.channel_N == WORLD.catalogue.channels.index("tiktok"))[60:]
    before, after = (one.posterior(WORLD.catalogue).log_N[others].mean() for one in (PREDICTOR, got.predictor))
    assert after < before - 0.1
    assert got.learning == "The predictor is fitted anew with it"


def test_without_past_results_what_a_phase_gave_corrects_the_laws() -> None:
    """Everybody gave a tenth of what was assumed: all others are expected to give less, and with less doubt."""
    none = WORLD.catalogue
    bare = replace(none, of_E=none.of_E[:0], result_E=none.result_E[:0])
    assumed = prior(bare)
    before = assumed.posterior(bare)
    on = np.flatnonzero(bare.channel_N != bare.channels.index("youtube"))[:40]
    given = [results.Result(bare.ids[at], "teaser", 0.1 * float(before.mean_N[at]), None, "line 2") for at in on]
    got = results.after(bare, assumed, BRIEF, given)
    after = got.predictor.posterior(got.catalogue)
    others = np.setdiff1d(np.arange(len(bare)), on)
    assert (after.mean_N[others] < 0.6 * before.mean_N[others]).all()
    assert (after.variance_N < before.variance_N).all()
    same = np.setdiff1d(np.flatnonzero(bare.channel_N != bare.channels.index("youtube")), on)
    # results that do not scatter where creators and results were assumed to
    tenth = 0.1 * np.exp((CREATOR**2 + RESULT**2) / 2)
    assert np.median(after.mean_N[same] / before.mean_N[same]) == pytest.approx(tenth, rel=0.2)
    assert got.predictor.results == 0
    assert got.learning == "The assumed laws are corrected by it, as far as it outweighs their doubt"


def test_the_rest_of_a_plan_keeps_the_whole_brief() -> None:
    planner = Planner(WORLD.catalogue, PREDICTOR, Effects(draws=100), Solver(seconds=0.5))
    first = planner.plan(BRIEF)
    done = [one for one in first.choices if one.phase == "teaser"]
    given = [results.Result(one.creator_id, "teaser", 0.7 * one.effect, one.cost, "line 2") for one in done]
    got = results.after(WORLD.catalogue, PREDICTOR, BRIEF, given)
    rest = Planner(got.catalogue, got.predictor, Effects(draws=100), Solver(seconds=0.5)).plan(BRIEF, got.before)
    assert rest.budget == pytest.approx(BRIEF.budget - sum(one.cost for one in done))
    assert {one.phase for one in rest.choices} <= {"launch", "sustain"}
    assert not {one.creator_id for one in rest.choices} & {one.creator_id for one in done}
    chosen = [(one.creator_id, one.phase) for one in rest.choices]
    assert check(WORLD.catalogue, BRIEF, chosen, got.before.spent_C) == []
    assert sum(cell.cost for cell in rest.cells) == pytest.approx(rest.cost + got.spent)
