"""The step wrapper: reuse by key, resume, atomic results, readable errors."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from components import cache, lifeline
from components.declared import Step, steps
from components.steps import result, run_step
from crossmix import bundle
from crossmix.artifacts import Done, Failure, Stored
from crossmix.config import load, to_json
from tests.support.bundles import make

CONFIG = to_json(load("laptop"))


def changed(*overrides: str) -> str:
    return to_json(load("laptop", overrides))


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "run" / "steps"
    path.mkdir(parents=True)
    return path


def step(name: str, store: Path, core: str, config: str = CONFIG, **inputs: Path) -> Path:
    given = {key: str(path) for key, path in inputs.items()}
    return run_step(fake(name, core), config, given, str(store.parent / "kfp" / name), str(store))


def fake(name: str, core: str) -> Step:
    """A real step's declaration with a core function that is small enough to see through."""
    return replace(steps()[name], core=f"tests.support.fake_steps:{core}", figures=None)


def test_a_finished_step_is_reused_and_says_so(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = step("ingest", store, "write_seed")
    finished = Done.load(first).finished
    capsys.readouterr()
    assert step("ingest", store, "write_seed") == first
    assert capsys.readouterr().out == f"crossmix> ingest    reused (finished {finished})\n"
    # The artifact says where the result is.
    assert Stored.load(store.parent / "kfp" / "ingest") == Stored(step="ingest", key=first.name)
    assert (result(str(store.parent / "kfp" / "ingest"), str(store)) / "value").read_text() == "7"
    assert (store / "current" / "ingest").resolve() == first.resolve()


def test_what_a_step_tells_further_follows_its_line_each_time(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    declared = replace(fake("ingest", "write_seed"), told=lambda folder: (f"seed {(folder / 'value').read_text()}",))
    for _ in range(2):
        run_step(declared, CONFIG, {}, str(store.parent / "kfp" / "ingest"), str(store))
    lines = capsys.readouterr().out.splitlines()
    further = "crossmix>           seed 7"
    assert (lines[2], lines[4]) == (further, further)
    assert lines[3].startswith("crossmix> ingest    reused")


def test_a_change_upstream_reaches_the_steps_after_it_and_no_others(store: Path) -> None:
    dataset = step("ingest", store, "write_seed")
    fused = step("fusion", store, "double", dataset=dataset)
    assert step("fusion", store, "double", changed("train.seed=5"), dataset=dataset) == fused
    other = step("ingest", store, "write_seed", changed("data.demo.seed=8"))
    assert other != dataset
    again = step("fusion", store, "double", dataset=other)
    assert again != fused
    assert (again / "value").read_text() == "16"


@pytest.mark.parametrize(
    ("override", "changed"),
    [
        ("data.demo.days=30", ["ingest", "gate"]),
        ("data.sequence_length=9", ["ingest", "fusion", "gate"]),
        ("fusion.epochs=9", ["fusion", "gate"]),
        ("fusion.text_tokens=9", ["features", "fusion", "gate"]),
        ("limits.minimum=0.01", ["features", "market", "align", "gate"]),
        ("market.saturation=2", ["features", "market", "train", "align", "gate", "meta"]),
        ("train.seed=5", ["train", "align", "gate"]),
        ("train.cycles=50", ["train", "align", "gate", "meta"]),
        ("gates.utilisation=0.5", ["gate"]),
        ("online.sigma=0.02", ["gate"]),
        ("registry.model=other", ["register"]),
        ("serving.weight=0.5", ["deploy"]),
        ("features.online=redis", ["features"]),
    ],
)
def test_a_step_depends_on_its_own_settings(override: str, changed: list[str]) -> None:
    def key(step: Step, overrides: list[str]) -> str:
        return cache.step_key(step, load("laptop", overrides), {})

    assert [name for name, step in steps().items() if key(step, []) != key(step, [override])] == changed


def test_a_step_that_acts_where_its_environment_says_is_not_reused_elsewhere(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = step("register", store, "write_seed")
    for name in steps()["deploy"].environment:
        monkeypatch.delenv(name, raising=False)
    here = step("deploy", store, "double", dataset=version)
    monkeypatch.setenv("CROSSMIX_SERVE_IMAGE", "images.example/crossmix-serve@sha256:1")
    there = step("deploy", store, "double", dataset=version)
    assert there != here
    assert step("deploy", store, "double", dataset=version) == there
    assert step("register", store, "write_seed") == version


def test_a_bundle_is_not_reused_with_an_old_config(store: Path, tmp_path: Path) -> None:
    """The gate step's bundle carries the config; a setting that only the bundle carries trains nothing again."""
    market = step("ingest", store, "write_seed")
    trained = step("train", store, "double", dataset=market)
    first = step("gate", store, "write_bundle")
    again = changed("online.sigma=0.02", "meta.steps=4")
    assert step("train", store, "double", again, dataset=market) == trained
    second = step("gate", store, "write_bundle", again)
    for folder, sigma, inner in ((first, 0.01, 5), (second, 0.02, 4)):
        carried = bundle.load(folder / "bundle").config
        assert (carried.online.sigma, carried.meta.steps) == (sigma, inner)
    # What a bundle does not carry makes no new one.
    assert step("gate", store, "write_bundle", changed("registry.model=other", "serving.days=7")) == first


def test_a_bundle_carries_what_the_key_of_its_step_covers(tmp_path: Path) -> None:
    log = load("laptop", ["data.source=criteo", "data.path=/somewhere/log.csv", "registry.model=mine"])
    made = make(tmp_path / "bundle", config=log)
    content = json.loads((made.path / "config.json").read_text())
    assert set(content) == set(steps()["gate"].settings)
    assert "path" not in content["data"]  # the log counts by its content
    moved = load("laptop", ["data.source=criteo", "data.path=/else/where.csv"])
    assert make(tmp_path / "moved", config=moved).digest == made.digest
    assert make(tmp_path / "other", config=load("laptop", ["online.sigma=0.02"])).digest != made.digest
    assert made.config.data.source == "criteo"


def test_a_log_counts_by_its_content(tmp_path: Path) -> None:
    def key(path: Path) -> str:
        config = load("laptop", ["data.source=criteo", f"data.path={path}"])
        return cache.step_key(steps()["ingest"], config, {})

    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("a")
    two.write_text("a")
    assert key(one) == key(two)
    two.write_text("b")
    assert key(one) != key(two)


def test_memory_is_in_no_key_and_reaches_the_step() -> None:
    ingest, much = steps()["ingest"], load("laptop", ["data.memory=2"])
    assert cache.step_key(ingest, much, {}) == cache.step_key(ingest, load("laptop"), {})
    assert json.loads(cache.declared_json(ingest, much))["data"]["memory"] == 2


def test_code_that_a_step_can_reach_is_in_its_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {
        "crossmix/__init__.py": "",
        "crossmix/ingest/step.py": "def ingest():\n    from crossmix.sources import demo\n",
        "crossmix/sources/__init__.py": "",
        "crossmix/sources/demo.py": "from ..schema import Meta\n",
        "crossmix/schema.py": "Meta = 1\n",
        "crossmix/report.py": "import crossmix.ingest.step\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(cache, "ROOT", tmp_path)

    def digest() -> str:
        cache.code_digest.cache_clear()
        return cache.code_digest("crossmix.ingest.step")

    before = digest()
    (tmp_path / "crossmix/report.py").write_text("changed = 1\n")
    assert digest() == before
    (tmp_path / "crossmix/schema.py").write_text("Meta = 2\n")
    assert digest() != before
    cache.code_digest.cache_clear()


def test_files_that_register_themselves_are_in_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {
        "crossmix/agents/__init__.py": "",
        "crossmix/agents/learner.py": "AGENTS = Registered('train.agent', 'crossmix.agents')\n",
        "crossmix/agents/mine.py": "AGENTS.register(Agent(name='mine'))\n",
        "crossmix/train.py": "from crossmix.agents.learner import AGENTS\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(cache, "ROOT", tmp_path)
    cache.code_digest.cache_clear()
    before = cache.code_digest("crossmix.train")
    (tmp_path / "crossmix/agents/mine.py").write_text("AGENTS.register(Agent(name='mine', label='other'))\n")
    cache.code_digest.cache_clear()
    assert cache.code_digest("crossmix.train") != before
    cache.code_digest.cache_clear()


def test_a_key_covers_the_version_and_each_input_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for folder, name in ((one, "a"), (two, "b")):
        folder.mkdir()
        (folder / name).write_text("same")

    def key(**inputs: Path) -> str:
        return cache.step_key(steps()["gate"], load("laptop"), inputs)

    # A folder from elsewhere counts by its content, names included; an input by what it is given as.
    keys = {key(), key(market=one), key(market=two), key(market=one, policy=two), key(market=two, policy=one)}
    assert len(keys) == 5
    monkeypatch.setattr(cache, "version", lambda _: "0.0.0")
    assert key(market=one) not in keys


def test_every_core_function_is_in_reach_of_its_key() -> None:
    digests = {
        cache.code_digest(name) for name in ("crossmix.config", "crossmix.schema", "crossmix.registry.step_register")
    }
    assert len(digests) == 3
    assert cache.code_digest("json") == cache.code_digest("os")  # not ours: nothing to digest


def test_a_killed_step_finds_its_checkpoints_again(store: Path) -> None:
    market = step("ingest", store, "write_seed")
    with pytest.raises(SystemExit):
        step("train", store, "count", market=market)
    done = step("train", store, "count", market=market)
    assert (done / "value").read_text() == "xx"
    assert not list((store / "train").glob("*.work"))


def test_a_failure_leaves_a_reason_and_no_result(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        step("ingest", store, "refuse")
    assert stopped.value.code == 1
    reason = Failure.load(store)
    assert reason == Failure(step="ingest", kind="input", message="price_paid: -1 in row 7; mend the log")
    assert not list(store.glob("ingest/*/done.json"))
    assert "Traceback" not in capsys.readouterr().err


def test_a_fault_keeps_its_traceback_for_the_log(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        step("train", store, "count", market=step("ingest", store, "write_seed"))
    assert Failure.load(store).kind == "fault"
    assert "RuntimeError: power cut" in capsys.readouterr().err


def test_a_step_that_asks_gets_the_folder_of_the_run(store: Path) -> None:
    evaluation = step("ingest", store, "write_seed")
    assert (step("register", store, "name_home", evaluation=evaluation) / "value").read_text() == str(store.parent)


def test_without_a_store_the_artifact_is_the_result(tmp_path: Path) -> None:
    out = tmp_path / "artifact"
    assert run_step(fake("ingest", "write_seed"), CONFIG, {}, str(out), "") == out
    assert (out / "value").read_text() == "7"
    assert not out.is_symlink()


def test_two_runs_cannot_share_a_folder(tmp_path: Path) -> None:
    refused = pytest.raises(lifeline.RunningError, match="another run is writing there")
    with lifeline.hold(tmp_path), refused, lifeline.hold(tmp_path):
        pass
    with lifeline.hold(tmp_path):  # free again
        pass


def test_a_step_ends_when_its_run_is_killed(tmp_path: Path) -> None:
    child = "import time; from components import lifeline; lifeline.watch(); print('up', flush=True); time.sleep(600)"
    parent = (
        "import subprocess, sys; from pathlib import Path; from components import lifeline\n"
        f"with lifeline.hold(Path({str(tmp_path)!r})):\n"
        f"    step = subprocess.Popen([sys.executable, '-c', {child!r}], stdout=subprocess.PIPE, text=True)\n"
        "    step.stdout.readline(); print(step.pid, flush=True); step.wait()\n"
    )
    run = subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True)
    assert run.stdout is not None
    step = int(run.stdout.readline())
    time.sleep(3 * lifeline.POLL_SECONDS)
    assert running(step), "a step lives as long as its run"
    run.kill()
    run.wait()
    deadline = time.monotonic() + 300
    while running(step) and time.monotonic() < deadline:
        time.sleep(0.05)
    if running(step):
        os.kill(step, signal.SIGKILL)
        pytest.fail("the step outlived its run")


def running(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
