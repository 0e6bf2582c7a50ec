"""`crossmix plan OUT` says which version and bundle plan, and that their catalogue is old: in text, JSON and page."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from crossmix import config
from crossmix.artifacts import Registration, RunRecord
from crossmix.creators import bundled, effect, generated
from crossmix.creators.bundled import BundledPlanner
from crossmix.creators.step_ingest import report
from pipelines.cli import plan_source
from pipelines.cli.main import app
from pipelines.environment import REGISTRY

CONFIG = config.load("laptop", ["task=creators", "data.source=demo-creators", "creators.solver.seconds=0.4"])
FIRST, SECOND = (generated.demo(size, seed=9).catalogue for size in (300, 320))
BRIEF = "budget: 20000\ncurrency: EUR\nchannels: [tiktok]\nphases: [launch]\ntiers: {head: 500000, tail: 0}\n"


def save(folder: Path, catalogue: object) -> BundledPlanner:
    return bundled.save(folder, config=CONFIG, catalogue=catalogue, predictor=effect.fit(catalogue))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[BundledPlanner, BundledPlanner]:
    root = tmp_path_factory.mktemp("bundles")
    return save(root / "first", FIRST), save(root / "second", SECOND)


def run(out: Path, judged: BundledPlanner, champion: BundledPlanner | None, version: int | None) -> BundledPlanner:
    """A run that judged a bundle, and registered it where a version is given; what answers for it."""
    import shutil

    steps = {name: f"steps/{name}/key" for name in ("ingest", "gate", *(["register"] if version else []))}
    for folder in steps.values():
        (out / folder).mkdir(parents=True)
    report(judged.catalogue, "demo-creators").save(out / steps["ingest"])
    shutil.copytree(judged.path, out / steps["gate"] / "bundle")
    if champion is not None:
        shutil.copytree(champion.path, out / "bundle")
    if version is not None:
        Registration(
            name="crossmix-creators", version=version, aliases=(), run_id="r", bundle_digest=judged.digest, note=""
        ).save(out / steps["register"])
    RunRecord(run_id="r", config=asdict(CONFIG), steps=steps).save(out)
    return bundled.load(out / "bundle" if champion is not None else out / steps["gate"] / "bundle")


def test_the_runs_own_champion_is_told_by_its_number(
    saved: tuple[BundledPlanner, BundledPlanner], tmp_path: Path
) -> None:
    first, _ = saved
    source = plan_source.of_run(tmp_path, run(tmp_path, first, first, 4))
    assert (source.bundle, source.version, source.old) == (first.digest, 4, None)
    assert source.told == f"planned with version 4, bundle {first.digest[:12]}"


def test_what_its_gates_did_not_pass_is_no_version(
    saved: tuple[BundledPlanner, BundledPlanner], tmp_path: Path
) -> None:
    first, _ = saved
    source = plan_source.of_run(tmp_path, run(tmp_path, first, None, None))
    assert (source.version, source.old) == (None, None)
    assert source.told == f"planned with bundle {first.digest[:12]}, which is no version: its gates did not pass"


def test_a_champion_of_before_is_told_with_its_catalogue(
    saved: tuple[BundledPlanner, BundledPlanner], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last run read 320 creators: as a challenger, as one whose gates failed; its registry knows, or is away."""
    first, second = saved
    monkeypatch.setattr(plan_source, "_version", lambda _, digest: {first.digest: 1}.get(digest))
    planner = run(tmp_path / "a", second, first, 2)
    source = plan_source.of_run(tmp_path / "a", planner)
    assert (source.bundle, source.version) == (first.digest, 1)
    assert source.told == f"planned with version 1, bundle {first.digest[:12]}"
    assert source.old == (
        f"old catalogue: this bundle plans with 300 creators of a run before; the last run in {tmp_path / 'a'} read "
        f"another catalogue, of 320: `crossmix promote {tmp_path / 'a'} 2 --reason ...` and `crossmix run` again "
        "make it the one that plans"
    )
    monkeypatch.setattr(plan_source, "_version", lambda *_: None)
    source = plan_source.of_run(tmp_path / "b", run(tmp_path / "b", second, first, None))
    assert source.told == f"planned with a version that is not known, bundle {first.digest[:12]}"
    assert source.old is not None
    assert source.old.endswith(
        f"of 320: no gate let what was learned from it pass, see {tmp_path / 'b' / 'report.html'}"
    )


def test_a_registry_that_cannot_be_asked_leaves_the_number_unknown(
    saved: tuple[BundledPlanner, BundledPlanner], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from crossmix.registry.store import Registry

    asked: list[dict[str, str | None]] = []

    def away(_: Registry) -> None:
        asked.append({name: os.environ.get(name) for name in REGISTRY})
        raise ConnectionError("connection refused")

    for name in REGISTRY:
        monkeypatch.setenv(name, "")  # so that it is unset again afterwards
        monkeypatch.delenv(name)
    monkeypatch.setattr(Registry, "versions", away)
    first, second = saved
    planner = run(tmp_path, second, first, 2)
    assert plan_source.of_run(tmp_path, planner).version is None
    assert asked == [REGISTRY]  # not MLflow's own, which are minutes
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "5")
    plan_source.of_run(tmp_path, planner)
    assert asked[1] == {**REGISTRY, "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "5"}  # who sets one has it


def test_text_json_and_page_say_it(
    saved: tuple[BundledPlanner, BundledPlanner], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = saved
    monkeypatch.setattr(plan_source, "_version", lambda *_: 1)
    out = tmp_path / "out"
    run(out, second, first, 2)
    (tmp_path / "brief.yaml").write_text(BRIEF)
    asked = ["plan", str(out), "--brief", str(tmp_path / "brief.yaml"), "--seconds", "0.5"]
    done = CliRunner().invoke(app, asked)
    assert done.exit_code == 0, done.output
    head = done.output.splitlines()
    assert head[2] == f"planned with version 1, bundle {first.digest[:12]}"
    assert head[3].startswith("old catalogue: this bundle plans with 300 creators of a run before")
    page = (out / "plan.html").read_text()
    assert f"<p>Planned with version 1, bundle {first.digest[:12]}.</p>" in page
    assert "<p>Old catalogue: this bundle plans with 300 creators" in page
    told = json.loads(CliRunner().invoke(app, [*asked, "--json"]).output)
    assert (told["bundle"], told["version"], told["source"]) == (first.digest, 1, head[2])
    assert told["old_catalogue"] == head[3]


def test_a_file_has_no_version(tmp_path: Path) -> None:
    source = plan_source.of_catalogue(tmp_path / "c.csv")
    assert source == replace(source, bundle=None, version=None, old=None)
    assert source.told == f"planned with {tmp_path / 'c.csv'}: the predictor is fitted on it, and no run has judged it"
