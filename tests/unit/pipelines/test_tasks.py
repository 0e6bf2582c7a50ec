"""What a run does for each task: its pipeline, its settings, its summary, its lines; and which it refuses."""

from __future__ import annotations

import importlib
from dataclasses import replace
from pathlib import Path

import pytest

from components import cache
from components.declared import SPLIT, Step, steps
from components.pod import config_of
from crossmix.artifacts import Done, Summary, TaskJudged
from crossmix.config import ConfigError, load
from crossmix.registry.store import Registry
from crossmix.registry.version import Version
from pipelines import local
from pipelines.submit import pipeline_of
from pipelines.summary import collect
from pipelines.training import TRAININGS
from pipelines.wiring import arguments
from tests.support.creators_run import GENERATED, SMALL, Ran, chain
from tests.support.recorded_config import covers, recorded


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    made = chain(tmp_path_factory.mktemp("creators"))
    for name, folder in made.folders.items():
        Done(step=name, key="k", seconds=1.0, finished="now").save(folder)
    return made


def test_every_tasks_pipeline_has_the_steps_that_declare_it() -> None:
    for task, pipeline in TRAININGS.items():
        assert (pipeline.task, pipeline.name) == (task, "training")
        assert {step.task for step in pipeline.steps.values()} == {task}
    assert list(TRAININGS["creators"].steps) == ["ingest", "train", "gate", "register"]
    assert list(TRAININGS["journeys"].steps) == ["ingest", "features", "train", "gate", "register"]
    assert [task for task, one in TRAININGS.items() if one.has_ranks] == [SPLIT]


@pytest.mark.parametrize(
    ("override", "changed"),
    [
        ("creators.demo.seed=3", ["ingest", "gate"]),
        ("creators.effects.ridge=0.1", ["train", "gate"]),
        ("creators.agent=ddpg", ["train", "gate"]),
        ("creators.gates.share=0.5", ["gate"]),
        ("registry.creators_model=other", ["register"]),
        ("train.seed=5", []),
        ("journeys.window=9", []),
    ],
)
def test_a_step_depends_on_its_tasks_settings(override: str, changed: list[str]) -> None:
    def key(step: Step, overrides: list[str]) -> str:
        return cache.step_key(step, load("laptop", [*SMALL, GENERATED, *overrides]), {})

    declared = steps(task="creators")
    assert [name for name, step in declared.items() if key(step, []) != key(step, [override])] == changed


def test_another_tasks_settings_reach_no_step_of_the_split() -> None:
    for step in steps().values():
        told = [cache.step_key(step, load("laptop", more), {}) for more in ([], ["creators.agent=ddpg"])]
        assert told[0] == told[1], step.name


def test_each_step_is_given_settings_that_say_its_task_and_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "creators.csv").write_text("creator_id\n")
    made = load("laptop", [*SMALL, "data.source=creators", f"data.path={tmp_path / 'creators.csv'}"])
    given = arguments(TRAININGS["creators"], made, "store", "digest")
    assert set(given) == {"ingest_config", "train_config", "gate_config", "register_config", "store", "log"}
    for name, step in steps(task="creators").items():
        text = given[f"{name}_config"]
        assert steps(None)[name].given(text) == step
        assert (config_of(text).task, config_of(text).data.source) == ("creators", "creators")
        assert (str(tmp_path) in text) == (name == "ingest")


def test_the_summary_has_the_tasks_figures_and_none_of_the_splits(ran: Ran, tmp_path: Path) -> None:
    summary = collect(ran.config, steps(task="creators"), ran.folders, "r1", None, None)
    told = summary.plain()
    assert not {"rows", "fusion", "fidelity", "policy"} & set(told)
    assert (told["task"], told["source"], told["registry"]) == ("creators", "demo-creators", None)
    assert told["figures"] == TaskJudged.load(ran.evaluation).plain()
    assert told["steps"]["ingest"]["creators"] == 600
    assert list(told["seconds"]) == ["ingest", "train", "gate"]
    assert Summary.load(summary.save(tmp_path, strict=True).parent) == summary


def test_the_terminal_tells_figures_gates_and_what_did_not_pass(ran: Ran, tmp_path: Path) -> None:
    summary = collect(ran.config, steps(task="creators"), ran.folders, "r1", None, None)
    text = local.describe(local.Outcome(summary, local.GATES_FAILED), tmp_path)
    share = summary.figures.figures["share_of_bound"]  # type: ignore[union-attr]
    low, high = share.ci95  # type: ignore[misc]
    assert f"share of bound  {share.mean:.3f} [{low:.3f}, {high:.3f}]  expected effect over the dual bound" in text
    assert "nothing was registered: a required gate did not pass" in text
    assert "crossmix allocate" not in text


def test_the_terminal_says_of_what_did_not_pass_why_and_what_to_do(ran: Ran, tmp_path: Path) -> None:
    summary = collect(ran.config, steps(task="creators"), ran.folders, "r1", None, None)
    first = replace(
        summary.gates[0], required=True, verdict="fail", value=0.8944, threshold=">= 0.98", detail="take it"
    )
    text = local.describe(local.Outcome(replace(summary, gates=(first,)), local.GATES_FAILED), tmp_path)
    assert text.endswith(f"\n  FAIL  {first.name}: 0.8944, wanted >= 0.98\n    take it")


def test_the_terminal_counts_the_gates_that_hold_a_run_back_apart_from_those_that_only_tell(
    ran: Ran, tmp_path: Path
) -> None:
    summary = collect(ran.config, steps(task="creators"), ran.folders, "r1", None, None)
    passed = replace(summary.gates[0], required=True, verdict="pass")
    only_told = replace(passed, name="a", required=False, verdict="fail")
    text = local.describe(local.Outcome(replace(summary, gates=(only_told, passed, passed)), 0), tmp_path)
    assert "\ngates      required: 2 pass\n           others, which hold nothing back: 1 fail\n" in text
    alone = local.describe(local.Outcome(replace(summary, gates=(passed,)), 0), tmp_path)
    assert "\ngates      required: 1 pass\n" in alone
    assert "others" not in alone


def test_a_task_that_cannot_be_trained_ends_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.training.TRAININGS", {"split": TRAININGS["split"]})
    monkeypatch.setattr(local, "steps", lambda pipeline="training", task="split": {})
    with pytest.raises(ConfigError, match="task: 'creators' cannot be trained by this version"):
        local.run(load("laptop", [*SMALL, GENERATED]), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_follows_a_served_split_is_of_no_other_task() -> None:
    assert pipeline_of("training", "creators") is TRAININGS["creators"]
    with pytest.raises(ConfigError, match="pipeline 'readapt' follows a split that is served, not task 'creators'"):
        pipeline_of("readapt", "creators")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ingest", "train", "gate", "register"])
def test_a_step_of_creators_declares_what_it_reads(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `tests/e2e/test_settings_read.py` for the split; by the walk's agent, which reads most."""
    monkeypatch.setattr(Registry, "register", lambda self, folder, **_: Version(self.model, 1, "r", "d", (), {}))
    made = chain(tmp_path / "chain", [GENERATED, "creators.agent=ddpg"])
    step, (config, reads) = steps(task="creators")[name], recorded(made.config)
    module, _, function = step.core.partition(":")
    core = getattr(importlib.import_module(module), function)
    inputs = {
        "ingest": {},
        "train": {"dataset": made.dataset, "work": tmp_path / "work"},
        "gate": {"dataset": made.dataset, "policy": made.policy},
        "register": {"evaluation": made.evaluation, "home": tmp_path},
    }[name]
    out = tmp_path / "out"
    out.mkdir()
    reads.clear()
    core(config=config, **inputs, out=out)
    declared = (*step.settings, *step.aside)
    assert not [key for key in reads if not any(covers(one, key) for one in declared)]
    # The source is there so that the config can be checked.
    told = [one for one in declared if one not in ("task", "data.source", "data.path")]
    assert not [one for one in told if not any(covers(one, key) for key in reads)]
