"""The step wrapper: reuse by key, resume, atomic results, readable errors."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from components import cache, lifeline
from components.steps import run_step
from crossmix.config import load, to_json

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
    return run_step(
        name, config, given, str(store.parent / "kfp" / name), str(store), f"tests.support.fake_steps:{core}"
    )


def test_a_finished_step_is_reused_and_says_so(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = step("ingest", store, "write_seed")
    finished = json.loads((first / "done.json").read_text())["finished"]
    capsys.readouterr()
    assert step("ingest", store, "write_seed") == first
    assert capsys.readouterr().out == f"crossmix> ingest    reused (finished {finished})\n"
    assert (store.parent / "kfp" / "ingest" / "value").read_text() == "7"  # the artifact is the stored result
    assert (store / "current" / "ingest").resolve() == first.resolve()


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
    ("override", "steps"),
    [
        ("data.demo.days=30", ["ingest", "features"]),
        ("fusion.epochs=9", ["features", "fusion"]),
        ("market.saturation=2", ["features", "market", "train", "align", "meta"]),
        ("train.seed=5", ["train", "align", "meta"]),
        ("gates.utilisation=0.5", ["gate"]),
        ("registry.model=other", ["register"]),
    ],
)
def test_a_step_depends_on_its_own_sections(override: str, steps: list[str]) -> None:
    def key(name: str, overrides: list[str]) -> str:
        return cache.step_key(name, load("laptop", overrides), {}, "crossmix.config:load")

    assert [name for name in cache.SECTIONS if key(name, []) != key(name, [override])] == steps


def test_a_log_counts_by_its_content(tmp_path: Path) -> None:
    def key(path: Path) -> str:
        config = load("laptop", ["data.source=criteo", f"data.path={path}"])
        return cache.step_key("ingest", config, {}, "crossmix.config:load")

    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("a")
    two.write_text("a")
    assert key(one) == key(two)
    two.write_text("b")
    assert key(one) != key(two)


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
    reason = json.loads((store / "error.json").read_text())
    assert reason == {"step": "ingest", "kind": "input", "message": "price_paid: -1 in row 7; mend the log"}
    assert not list(store.glob("ingest/*/done.json"))
    assert "Traceback" not in capsys.readouterr().err


def test_a_fault_keeps_its_traceback_for_the_log(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        step("train", store, "count", market=step("ingest", store, "write_seed"))
    assert json.loads((store / "error.json").read_text())["kind"] == "fault"
    assert "RuntimeError: power cut" in capsys.readouterr().err


def test_a_step_that_asks_gets_the_folder_of_the_run(store: Path) -> None:
    evaluation = step("ingest", store, "write_seed")
    assert (step("register", store, "name_home", evaluation=evaluation) / "value").read_text() == str(store.parent)


def test_without_a_store_the_artifact_is_the_result(tmp_path: Path) -> None:
    out = tmp_path / "artifact"
    assert run_step("ingest", CONFIG, {}, str(out), "", "tests.support.fake_steps:write_seed") == out
    assert (out / "value").read_text() == "7"
    assert not out.is_symlink()


def test_two_runs_cannot_share_a_folder(tmp_path: Path) -> None:
    refused = pytest.raises(lifeline.RunningError, match="another run is writing there")
    with lifeline.hold(tmp_path), refused, lifeline.hold(tmp_path):
        pass
    with lifeline.hold(tmp_path):  # free again
        pass


def test_a_step_ends_when_its_run_is_killed(tmp_path: Path) -> None:
    child = "import time; from components import lifeline; lifeline.watch(); print('up', flush=True); time.sleep(60)"
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
    deadline = time.monotonic() + 10
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
