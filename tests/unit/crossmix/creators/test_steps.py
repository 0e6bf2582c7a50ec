"""The steps of task `creators` one after another: what each leaves, by either agent, from either source."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crossmix.artifacts import CatalogueReport, CreatorsJudged, CreatorsTrained, GateTable, TaskJudged
from crossmix.config import load
from crossmix.creators import bundled, ddpg, effect, generated
from crossmix.creators.catalogue import Catalogue, write
from crossmix.creators.step_gate import halves
from crossmix.creators.step_train import train
from crossmix.creators.stored import load_catalogue, load_predictor
from crossmix.creators.worker import Planner
from crossmix.schema import DataError
from tests.support.creators_run import GENERATED, SMALL, Ran, chain


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    return chain(tmp_path_factory.mktemp("solver"))


def test_ingest_keeps_the_generated_catalogue_as_it_is(ran: Ran) -> None:
    world, told = generated.demo(600, 0), CatalogueReport.load(ran.dataset)
    kept = load_catalogue(ran.dataset)
    assert kept.ids == world.catalogue.ids
    np.testing.assert_array_equal(kept.result_E, world.catalogue.result_E)
    assert (told.creators, told.results, told.generated) == (600, len(world.catalogue.result_E), True)
    assert sum(one.creators for one in told.channels.values()) == 600
    assert sum(one.results for one in told.channels.values()) == told.results


def test_train_fits_the_predictor_and_tells_its_spreads(ran: Ran) -> None:
    told, predictor = CreatorsTrained.load(ran.policy), load_predictor(ran.policy)
    assert (told.agent, told.walk) == ("solver", None)
    assert (told.tau, told.sigma, told.results) == (predictor.tau, predictor.sigma, predictor.results)
    assert not (ran.policy / bundled.ACTOR).exists()


def test_the_gate_step_leaves_a_bundle_with_its_gates_and_figures_that_agree(ran: Ran) -> None:
    planner = bundled.load(ran.evaluation / "bundle")
    table, briefs, figures = (kind.load(ran.evaluation) for kind in (GateTable, CreatorsJudged, TaskJudged))
    assert [gate["name"] for gate in planner.manifest["gates"]] == [gate.name for gate in table.gates]
    shares = [one.expected["plan"] / one.bound for one in briefs.briefs]
    assert figures.figures[figures.judged].mean == pytest.approx(np.mean(shares))
    assert (figures.generated, figures.rows, briefs.judged_by) == (
        True, 600, "by the true effects of the generated catalogue",
    )  # fmt: skip
    for one in briefs.briefs:
        assert sum(one.spend) == pytest.approx(one.cost["plan"])
        assert one.broken == ()
        assert one.expected["plan"] <= one.bound * (1 + 1e-9)
    assert briefs.calibration is not None
    assert sum(one.results for one in briefs.calibration.bins) == briefs.calibration.results


@pytest.mark.slow
def test_a_csv_is_judged_by_results_that_its_plans_have_not_seen(tmp_path: Path) -> None:
    world = generated.demo(600, 5)
    write(world.catalogue, tmp_path / "creators.csv")
    ran = chain(tmp_path, ["data.source=creators", f"data.path={tmp_path / 'creators.csv'}"])
    briefs, told = CreatorsJudged.load(ran.evaluation), CatalogueReport.load(ran.dataset)
    assert briefs.judged_by == "planned by one half of the past results and judged by the other"
    assert (told.source, told.creators) == ("creators", 600)
    planner = bundled.load(ran.evaluation / "bundle")
    first_N, second_N = halves(planner.catalogue, planner)
    assert not np.allclose(first_N, second_N)
    assert np.corrcoef(np.log(first_N), np.log(second_N))[0, 1] > 0.5


@pytest.mark.slow
def test_the_walks_agent_trains_and_plans_without_torch_in_the_bundle(tmp_path: Path) -> None:
    ran = chain(tmp_path, ["data.source=demo-creators", "creators.agent=ddpg"])
    told = CreatorsTrained.load(ran.policy)
    assert told.walk is not None
    assert (told.walk.episodes, told.walk.briefs, len(told.walk.returns)) == (12, 3, 12)
    planner = bundled.load(ran.evaluation / "bundle")
    assert "actor.onnx" in planner.manifest["files"]
    briefs = CreatorsJudged.load(ran.evaluation)
    assert briefs.agent == "ddpg"
    for one in briefs.briefs:
        assert one.expected["plan"] <= one.bound * (1 + 1e-9)


@pytest.mark.slow
def test_a_killed_training_of_the_walk_goes_on_and_leaves_the_same_files(
    ran: Ran, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = load("laptop", [*SMALL, GENERATED, "creators.agent=ddpg"])
    monkeypatch.setattr(ddpg, "EVERY", 4)
    folders = [tmp_path / name for name in ("whole", "half", "again")]
    for folder in folders:
        folder.mkdir()
    train(config, ran.dataset, folders[0], tmp_path / "none")
    episode, begun = ddpg._episode, []

    def ended(*arguments: Any) -> float:
        begun.append(1)
        if len(begun) == 11:
            raise KeyboardInterrupt
        return episode(*arguments)

    monkeypatch.setattr(ddpg, "_episode", ended)
    with pytest.raises(KeyboardInterrupt):
        train(config, ran.dataset, folders[1], tmp_path / "work")
    train(config, ran.dataset, folders[2], tmp_path / "work")
    assert len(begun) == 11 + 4  # twelve walks, eight of them in the checkpoint
    names = sorted(file.name for file in folders[0].iterdir())
    assert names == ["actor.onnx", "predictor.npz", "trained.json"]
    for name in names:
        assert (folders[2] / name).read_bytes() == (folders[0] / name).read_bytes()


def test_a_run_without_results_is_refused_with_how_many_are_missing_and_what_still_plans(tmp_path: Path) -> None:
    header = "creator_id,channel,followers,price,interaction_rate,audience_quality,content_type,categories\n"
    (tmp_path / "c.csv").write_text(header + "c1,tiktok,1000,50,0.1,0.9,post,food\n")
    says = "past_results: 0 in all; a predictor needs 40 or more, 40 are missing; .* crossmix plan --catalogue"
    with pytest.raises(DataError, match=says):
        chain(tmp_path, ["data.source=creators", f"data.path={tmp_path / 'c.csv'}"])


def _few(count: int) -> Catalogue:
    whole = generated.demo(300, seed=4).catalogue
    return replace(whole, of_E=whole.of_E[:count], result_E=whole.result_E[:count])


def test_halves_of_too_few_results_say_how_many_are_missing() -> None:
    with pytest.raises(DataError, match=r"60 past results, .*; 80 are needed at least, .*; 20 are missing"):
        halves(_few(60), Planner(_few(60), effect.fit(_few(60))))
    first_N, second_N = halves(_few(80), Planner(_few(80), effect.fit(_few(80))))
    assert not np.allclose(first_N, second_N)


@pytest.mark.slow
def test_a_run_of_few_results_ends_in_gates_that_say_how_many_are_missing(tmp_path: Path) -> None:
    write(_few(60), tmp_path / "creators.csv")
    ran = chain(tmp_path, ["data.source=creators", f"data.path={tmp_path / 'creators.csv'}"])
    gates = {gate.name: gate for gate in GateTable.load(ran.evaluation).gates}
    lead = gates["creators.lead"]
    assert (lead.verdict, lead.required) == ("insufficient data", True)
    assert "20 are missing" in lead.detail
    assert gates["creators.predictor.slope"].verdict == "insufficient data"
    assert gates["creators.rules"].verdict == "pass"
    assert not GateTable.load(ran.evaluation).passed
    told = TaskJudged.load(ran.evaluation)
    assert list(told.figures) == ["share_of_bound", "spent"]
    assert "template" not in told.headline
    assert all(one.judged == {} for one in CreatorsJudged.load(ran.evaluation).briefs)
