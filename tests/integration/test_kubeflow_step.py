"""A KFP step on a cluster: the executor's own command, a read-only home, no network, a lock and the wheel alone.

The long version installs the locks themselves, with hashes, which fetches a gigabyte; every run does the same with the
packages that are here, of the same versions (tests/contract/test_images.py).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from crossmix.artifacts import Done
from crossmix.config import load, to_json
from crossmix.schema import Dataset
from supply.locks import TARGETS, read
from tests.support.kubeflow_step import NEEDED, start
from tests.support.small_run import TINY
from tests.support.wheels import build_wheel

ROOT = Path(__file__).resolve().parents[2]
PIPELINE = ROOT / "tests" / "contract" / "golden" / "training.yaml"
SMALL = [f"{key}={value}" for key, value in TINY.items()]
PROBE = """
import pathlib, socket
try:
    (pathlib.Path.home() / "x").write_text("")
except OSError:
    print("home is read-only")
try:
    socket.create_connection(("127.0.0.1", 9), 1)
except OSError as error:
    print(error.strerror)
"""
rooted = pytest.mark.skipif(
    os.geteuid() != 0 or None in map(shutil.which, NEEDED),
    reason=f"needs root, and {' and '.join(NEEDED)} of util-linux",
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"))


def ingest(folder: Path, programs: Path, **environment: str) -> None:
    """Ingest ends well, with its artifact, its metrics and nothing at home."""
    config = load("laptop", SMALL)
    given = {"config_json": to_json(config), "store": ""}
    done = start(PIPELINE, "ingest", folder, programs, parameters=given, inputs={}, environment=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    made = folder / "out" / "dataset"
    assert Done.load(made).step == "ingest"
    assert len(Dataset(made).meta.platforms) == 10
    assert '"metrics"' in (folder / "out" / "executor_output.json").read_text()
    assert list((folder / "home").iterdir()) == []


@rooted
@pytest.mark.slow
def test_a_step_runs_as_kubeflow_starts_it(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    tmp_path.chmod(0o755)
    ingest(tmp_path / "run", Path(sys.executable).parent, PYTHONPATH=str(tmp_path / "site"))


@rooted
def test_a_step_that_needs_a_network_or_its_home_would_not_run(tmp_path: Path) -> None:
    """What the test above stands on: neither is there."""
    pipeline = tmp_path / "pipeline.yaml"
    container = {"command": ["python3", "-c"], "args": [PROBE]}
    spec = {
        "deploymentSpec": {"executors": {"exec-probe": {"container": container}}},
        "components": {"comp-probe": {"inputDefinitions": {"parameters": {}}}},
    }
    pipeline.write_text(json.dumps(spec))  # JSON is YAML
    done = start(
        pipeline, "probe", tmp_path / "run", Path(sys.executable).parent, parameters={}, inputs={}, environment={}
    )
    assert done.stdout.splitlines() == ["home is read-only", "Network is unreachable"], done.stderr


@pytest.fixture(scope="module")
def installed(request: pytest.FixtureRequest, wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with a target's lock, by hashes, and the wheel; its folder of programs."""
    folder = tmp_path_factory.mktemp(request.param) / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-compile", "--no-deps"]
    # CI's machines may have a constraint of their own, which is no part of a lock.
    environment = os.environ | {"PIP_CONSTRAINT": ""}
    for name in ("build", request.param):
        command = [*pip, "--no-build-isolation", "--require-hashes", "-r", str(ROOT / "locks" / f"{name}.txt")]
        subprocess.run(command, check=True, env=environment)
    subprocess.run([*pip, "--no-index", str(wheel)], check=True)
    subprocess.run([*pip[:3], "check"], check=True)
    return folder / "bin"


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("installed", ["steps", "serve", "spark"], indirect=True)
def test_a_target_imports_all_that_it_runs_from_its_lock_alone(
    installed: Path, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """And no more is installed than the lock says. The steps' environment stands in for train's, which needs a GPU."""
    target = request.node.callspec.params["installed"]
    names = {"steps": {*TARGETS["steps"].runs, *TARGETS["train"].runs}}.get(target, set(TARGETS[target].runs))
    probe = f"import importlib\nfor name in {sorted(names)!r}:\n    importlib.import_module(name)\n"
    probe += (
        "from importlib.metadata import distributions\nprint(*sorted(one.metadata['Name'] for one in distributions()))"
    )
    environment = {"PATH": f"{installed}:/usr/bin:/bin", "HOME": str(tmp_path)}
    done = subprocess.run(
        [str(installed / "python"), "-c", probe], cwd="/", env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()[-1].split()) == len(read(target).keys() | {"pip", "setuptools"}) + 1
    size = sum(file.stat().st_size for file in installed.parent.rglob("*") if file.is_file() and not file.is_symlink())
    print(f"{target}: {size / 1e9:.2f} GB")
    if target == "serve":
        assert size <= 1.1e9


@rooted
@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("installed", ["steps"], indirect=True)
def test_a_step_runs_in_the_images_own_environment(installed: Path, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    ingest(tmp_path / "run", installed)
