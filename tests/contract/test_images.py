"""The Dockerfile and the images' locks: what they hold, and that nothing else is needed to build them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
import zipfile
from fnmatch import fnmatchcase
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from components.declared import steps
from crossmix import TELEMETRY_OFF
from pipelines.cli.images import OURS
from supply.locks import CPU_TORCH, PYTHON, TARGETS, asked, missing, read
from tests.support.wheels import PACKAGES, build_wheel, tracked

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
LINES = re.sub(r"\\\n\s*", "", re.sub(r"^\s*#.*\n", "", DOCKERFILE, flags=re.MULTILINE)).splitlines()
"""Instructions, one a line."""
DIGEST = "sha256:" + "0" * 63 + "1"
NOT_SERVED = ("torch", "transformers", "kfp", "evidently", "mlflow", "scikit-learn", "onnx", "safetensors")
CUDA = re.compile(r"nvidia-.+|cuda-.+|triton")
PINS = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines())


def stage(name: str) -> list[str]:
    """A stage's own instructions."""
    (start,) = (at for at, line in enumerate(LINES) if re.fullmatch(rf"FROM \S+ AS {name}", line))
    ends = [at for at, line in enumerate(LINES) if line.startswith("FROM ") and at > start]
    return LINES[start + 1 : min(ends, default=len(LINES))]


def hadolint(text: str) -> subprocess.CompletedProcess[str]:
    program = str(Path(sys.executable).with_name("hadolint"))
    return subprocess.run([program, "--no-color", "-"], input=text, capture_output=True, text=True, check=False)


def test_hadolint_finds_nothing() -> None:
    done = hadolint(DOCKERFILE)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize(
    ("line", "planted", "rule"),
    [
        ("FROM ${BASE} AS base", "FROM python AS base", "DL3006"),
        ("WORKDIR /source", "WORKDIR source", "DL3000"),
        ("COPY pyproject.toml README.md ./", "ADD pyproject.toml README.md ./", "DL3020"),
    ],
)
def test_what_hadolint_is_there_for_is_found(line: str, planted: str, rule: str) -> None:
    assert line in DOCKERFILE
    assert rule in hadolint(DOCKERFILE.replace(line, planted)).stdout


def left_out(path: str) -> bool:
    """Whether .dockerignore keeps a path out of the build: the last pattern that fits it or a folder above wins."""
    out = False
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        if line.startswith("#"):
            continue
        pattern = line.removeprefix("!")
        name = pattern.removeprefix("**/")
        assert name
        assert "/" not in name, f"{line}: this reads names at the top, and **/NAME, alone"
        parts = Path(path).parts if pattern != name else Path(path).parts[:1]
        if any(fnmatchcase(part, name) for part in parts):
            out = not line.startswith("!")
    return out


def test_every_file_that_is_copied_or_mounted_is_there_and_nothing_else_is() -> None:
    copied = [part for line in LINES if line.startswith("COPY ") for part in line.split()[1:-1]]
    mounted = re.findall(r"--mount=type=bind,source=([^,]+),", DOCKERFILE)
    assert set(mounted) == {f"locks/{name}.txt" for name in ("build", *TARGETS)}
    for source in (*copied, *mounted):
        assert (ROOT / source).exists(), source
        assert not left_out(source), source
    assert set(copied) == {"pyproject.toml", "README.md", *PACKAGES}
    assert [name for name in tracked() if left_out(name)] == []
    assert not any(line.startswith(("COPY ", "ADD ")) for name in TARGETS for line in stage(name))


@pytest.mark.parametrize(
    "path",
    [
        ".git/config",
        ".env",
        ".venv/bin/python",
        ".venv-supply/bin/uv",
        ".mypy_cache/3.11/cache.db",
        "out/demo/mlflow.db",
        "k8s/base/secrets.env",
        "tests/conftest.py",
        "crossmix/__pycache__/config.cpython-311.pyc",
        "crossmix/market/__pycache__/world.cpython-311.pyc",
    ],
)
def test_what_lies_beside_the_code_is_not_sent_to_the_build(path: str) -> None:
    """A builder that takes the whole folder, as buildah, would hand it to every COPY of a folder above."""
    assert left_out(path)


def test_an_image_is_a_lock_and_the_one_wheel() -> None:
    assert re.findall(r"^FROM (\S+) AS (\w+)$", "\n".join(LINES), re.MULTILINE) == [
        ("scratch", "wheels"),
        ("${BASE}", "base"),
        *(("base", name) for name in ("wheel", "steps", "train", "serve", "java")),
        ("java", "spark"),
    ]
    assert set(TARGETS) == {"steps", "train", "serve", "spark"}
    for name in TARGETS:
        lock, wheel = (line for line in stage(name) if line.startswith("RUN "))
        assert f"--require-hashes -r /locks/{name}.txt" in lock
        assert "--no-deps --no-index /dist/*.whl && pip check" in wheel
        assert "from=wheel,source=/dist" in wheel


def test_spark_stands_on_the_bases_own_java_and_starts_as_spark_on_kubernetes_wants() -> None:
    (java,) = (line for line in stage("java") if line.startswith("RUN "))
    assert "apt-get install --yes --no-install-recommends default-jre-headless tini" in java
    assert java.endswith("rm -rf /var/lib/apt/lists/*")
    (entry,) = (line for line in stage("spark") if line.startswith("ENTRYPOINT "))
    program = json.loads(entry.removeprefix("ENTRYPOINT "))
    assert program[:3] == ["tini", "-s", "--"]
    assert program[3:5] == ["python3", "-m"]
    assert program[5:] == ["pipelines.spark_pod"]
    assert program[5] in TARGETS["spark"].runs
    assert not [line for name in ("steps", "train", "serve") for line in stage(name) if line.startswith("ENTRYPOINT")]


def test_spark_is_the_one_that_the_application_names() -> None:
    application = yaml.safe_load((ROOT / "k8s" / "components" / "spark" / "application.yaml").read_text())
    assert application["spec"]["sparkVersion"] == read("spark")["pyspark"].version
    assert application["spec"]["image"].partition("@")[0] == OURS["spark"]
    assert [name for name in NOT_SERVED if name in read("spark")] == []


def test_it_runs_as_a_fixed_user_at_home_in_tmp_and_tells_nobody() -> None:
    for name in TARGETS:
        assert [line for line in stage(name) if line.startswith("USER ")] == ["USER 10001:10001"]
    (told,) = (line for line in stage("base") if line.startswith("ENV "))
    environment = dict(part.split("=", 1) for part in told.removeprefix("ENV ").split())
    assert environment["HOME"] == "/tmp"
    assert {name: environment.get(name) for name in TELEMETRY_OFF} == TELEMETRY_OFF


def test_no_base_image_is_written_down_that_was_not_resolved() -> None:
    assert [line for line in LINES if line.startswith("ARG ")] == ["ARG BASE", "ARG BASE"]
    assert not re.search(r"sha256:[0-9a-f]{8}", DOCKERFILE)
    base = ROOT / "locks" / "base.txt"
    assert not base.exists() or re.fullmatch(r"\S+@sha256:[0-9a-f]{64}\n", base.read_text())


@pytest.mark.parametrize(
    ("base", "taken"),
    [
        (f"python@{DIGEST}", True),
        (f"images.example:5000/a/python@{DIGEST}", True),
        ("python:3.11-slim", False),
        ("python", False),
        (f"python:3.11-slim@{DIGEST}", False),
        (f"python@{DIGEST}0", False),
        ("python@sha256:0", False),
        (f"python@{DIGEST} ", False),
        ("", False),
    ],
)
def test_the_build_takes_a_digest_and_refuses_a_tag(base: str, taken: bool) -> None:
    """The first instruction of the first stage, run as the build runs it."""
    first = next(line for line in stage("base") if line.startswith("RUN ")).removeprefix("RUN ")
    command = first.replace("python3 -c", f"{sys.executable} -c")
    environment = {"BASE": base, "PATH": "/usr/bin:/bin"}
    done = subprocess.run(["sh", "-c", command], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == (0 if taken else 1), done.stderr
    assert taken or f"BASE: {base!r} is no digest; use NAME@sha256:" in done.stderr


@pytest.mark.parametrize(
    ("version", "taken"), [((3, 11, 2), False), ((3, 11, 3), True), ((3, 11, 14), True), ((3, 12, 0), False)]
)
def test_the_build_takes_the_pythons_that_the_locks_are_closed_for(version: tuple[int, ...], taken: bool) -> None:
    """Debian 12's own, 3.11.2, needs a package that no lock holds."""
    assert (version >= tuple(map(int, PYTHON.split("."))) and version < (3, 12)) is taken
    first = next(line for line in stage("base") if line.startswith("RUN ")).removeprefix("RUN ")
    assert first.count("sys.version_info") == 1
    command = first.replace("python3 -c", f"{sys.executable} -c").replace("sys.version_info", repr(version))
    environment = {"BASE": f"python@{DIGEST}", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(["sh", "-c", command], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, "the locks are for CPython 3.11" in done.stderr) == (0 if taken else 1, not taken)


@pytest.mark.parametrize("target", TARGETS)
def test_a_lock_is_closed(target: str) -> None:
    """All that the project asks for on that target, and all that this asks for, is in the lock."""
    assert missing(read(target), asked(TARGETS[target])) == []


@pytest.mark.parametrize("target", [*TARGETS, "build"])
def test_a_lock_has_the_versions_that_are_tested_here(target: str) -> None:
    pins = {canonicalize_name(name): version for name, version in PINS.items()}
    other = {name: one.version for name, one in read(target).items() if pins.get(name) != Version(one.version).public}
    # CUDA's own packages are in no environment that is tested here.
    assert {name for name in other if not CUDA.fullmatch(name)} == set()


@pytest.mark.parametrize("name", [*TARGETS, "build", "base"])
def test_a_lock_names_no_host(name: str) -> None:
    file = ROOT / "locks" / f"{name}.txt"
    text = file.read_text() if file.exists() else ""
    assert not re.search(r"://|--(extra-)?index-url|--find-links|\.(org|com|io|dev)\b", text)


def test_the_steps_image_is_held_to_import_every_steps_core_function() -> None:
    assert {step.core.partition(":")[0] for step in steps(None).values()} <= set(TARGETS["steps"].runs)


def test_which_image_has_which_torch() -> None:
    cpu, train, serve = (read(name) for name in ("steps", "train", "serve"))
    assert cpu["torch"].version == CPU_TORCH
    assert train["torch"].version == Version(CPU_TORCH).public
    assert set(cpu["torch"].digests).isdisjoint(train["torch"].digests)
    cuda = {name for name in train if CUDA.fullmatch(name)}
    assert train.keys() - cuda == cpu.keys()
    assert not any(CUDA.fullmatch(name) for name in cpu)
    # What torch loads when it is imported on a GPU, and what several of them talk through.
    for part in ("cublas", "cudnn", "cusparse", "nccl", "nvrtc", "cuda-runtime"):
        assert any(part in name for name in cuda), part
    assert [name for name in NOT_SERVED if name in serve] == []
    assert "mlflow-skinny" in serve
    assert {name: one for name, one in train.items() if name not in cuda | {"torch"}} == {
        name: one for name, one in cpu.items() if name != "torch"
    }


def test_a_lock_that_lacks_a_package_is_found() -> None:
    lock = read("serve")
    without = {name: one for name, one in lock.items() if name != "pyarrow"}
    assert any(line.startswith("pyarrow") for line in missing(without, asked(TARGETS["serve"])))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"))


def test_the_wheel_holds_every_file_of_the_packages_and_no_other(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert held == set(tracked())


def test_what_is_installed_from_the_wheel_finds_its_files(wheel: Path, tmp_path: Path) -> None:
    """Templates, style sheets, the feature store's template, the database's migrations; nothing of the source tree."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    probe = f"""
import sys
sys.path.insert(0, {str(tmp_path / "site")!r})
from pathlib import Path
import crossmix, feature_repo, monitoring, serving
from crossmix.ledger.store import Store
from crossmix.pages import render
from importlib import resources
for name in {[name for name in tracked() if not name.endswith(".py")]!r}:
    package, _, file = name.rpartition("/")
    assert resources.files(package.replace("/", ".")).joinpath(file).is_file(), name
store = Store("sqlite:///{tmp_path}/ledger.db")
print(Path(crossmix.__file__).parents[1])
"""
    done = subprocess.run(
        [sys.executable, "-I", "-c", probe], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(tmp_path / "site")
    assert (tmp_path / "ledger.db").stat().st_size > 0


@pytest.mark.parametrize(
    ("switch", "package", "file"),
    [
        ("ORT_DISABLE_TELEMETRY", "onnxruntime", "Privacy.md"),
        ("MLFLOW_DISABLE_TELEMETRY", "mlflow", "environment_variables.py"),
        ("HF_HUB_DISABLE_TELEMETRY", "huggingface_hub", "constants.py"),
        ("DO_NOT_TRACK", "evidently", "telemetry.py"),
        ("ITERATIVE_DO_NOT_TRACK", "iterative_telemetry", "__init__.py"),
    ],
)
def test_a_switch_is_one_that_the_installed_version_knows(switch: str, package: str, file: str) -> None:
    assert switch in TELEMETRY_OFF
    spec = find_spec(package)  # without importing it
    assert spec is not None
    assert switch in Path((spec.submodule_search_locations or [""])[0], file).read_text()


def test_importing_any_of_our_packages_sets_the_switches_first_and_leaves_a_users_own() -> None:
    probe = (
        "import os, sys, serving, components, pipelines, monitoring, feature_repo, crossmix.bundle.session\n"
        f"print(*(os.environ.get(name) for name in {list(TELEMETRY_OFF)!r}))"
    )
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "DO_NOT_TRACK": "own"}
    done = subprocess.run([sys.executable, "-c", probe], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [value if name != "DO_NOT_TRACK" else "own" for name, value in TELEMETRY_OFF.items()]


def test_the_groups_of_the_supply_chains_tools_are_pinned() -> None:
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    pins = {canonicalize_name(name) for name in PINS}
    assert [line for line in groups["supply"] if canonicalize_name(Requirement(line).name) not in pins] == []
