"""A new step is one component folder and its one call in the pipeline: everything else follows from its declaration."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]

COMPONENT = {
    "__init__.py": "",
    "core.py": '''"""What the step does."""
from pathlib import Path

from crossmix.artifacts import IngestReport


def audit(config, dataset: Path, out: Path) -> None:
    rows = IngestReport.load(dataset).rows
    (out / "audit.txt").write_text(str(rows.ingested * config.gates.latency_ms))
''',
    "step.py": '''"""Audit, as declared."""
from components.declared import Step

STEP = Step(
    name="audit",
    order=15,
    core="components.audit.core:audit",
    settings=("gates.latency_ms",),
    figures=lambda folder: {"score": float((folder / "audit.txt").read_text())},
    shown=("score",),
)
''',
    "component.py": '''"""Audit: a step that a test adds."""
from kfp import dsl

from components import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def audit(config_json: str, store: str, dataset: dsl.Input[dsl.Dataset], audited: dsl.Output[dsl.Artifact]):
    """Audit the log."""
    from components.audit.step import STEP
    from components.steps import run_step

    run_step(STEP, config_json, {"dataset": dataset.path}, audited.path, store)
''',
}
IMPORT = "from components.align.component import align\n"
WIRED = '    log = call(ingest).outputs["dataset"]\n'
RUN = """
import json, sys
from pathlib import Path
from types import SimpleNamespace

from components.audit.component import audit
from components.cache import step_key
from components.declared import steps
from crossmix.artifacts import Done
from crossmix.config import load, to_json
from crossmix.report.inputs import ReportInputs
from crossmix.report.page import render
from pipelines import local
from pipelines.summary import collect
from tests.support.report_steps import demo

root = Path(sys.argv[1])
config, declared = load("laptop"), steps()
folders = demo(root / "made", ("a", "b"))
for name, folder in folders.items():
    Done(step=name, key=f"key of {name}", seconds=1.0, finished="now").save(folder)
store = root / "out" / "steps"
store.mkdir(parents=True)
paths = {"dataset": SimpleNamespace(path=str(folders["ingest"])), "audited": SimpleNamespace(path=str(root / "kfp"))}
for changes in ([], [], ["gates.latency_ms=2"], ["train.seed=3"]):
    audit.python_func(config_json=to_json(load("laptop", changes)), store=str(store), **paths)
folders["audit"] = (store / "current" / "audit").resolve()
summary = collect(config, declared, folders, "r1", None, None)
page = render(ReportInputs.collect({}, summary))
told = {
    "steps": list(declared),
    "keys": sorted(folder.name for folder in (store / "audit").iterdir()),
    "key": step_key(declared["audit"], config, {"dataset": folders["ingest"]}),
    "summary": summary.plain(),
    "report": "<dt>audit</dt>" in page,
}
print("TOLD " + json.dumps(told))
"""


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project with one more folder in `components/`, and one more line (and its import) in the pipeline."""
    folder = tmp_path_factory.mktemp("tree")
    for name in ("components", "pipelines"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("crossmix", "feature_repo", "serving", "tests"):
        (folder / name).symlink_to(ROOT / name, target_is_directory=True)
    for name, text in COMPONENT.items():
        (folder / "components" / "audit").mkdir(exist_ok=True)
        (folder / "components" / "audit" / name).write_text(text)
    pipeline = folder / "pipelines" / "training.py"
    source = pipeline.read_text()
    assert source.count(IMPORT) == source.count(WIRED) == 1
    source = source.replace(IMPORT, f"{IMPORT}from components.audit.component import audit\n")
    pipeline.write_text(source.replace(WIRED, f"{WIRED}    call(audit, dataset=log)\n"))
    return folder


def python(tree: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(tree), "PYTHONSAFEPATH": "1"}
    return subprocess.run(
        [sys.executable, *arguments], cwd=tree, env=environment, capture_output=True, text=True, check=False
    )


def test_key_summary_report_and_terminal_follow_from_the_declaration(tree: Path, tmp_path: Path) -> None:
    done = python(tree, "-c", RUN, str(tmp_path))
    assert done.returncode == 0, done.stderr
    *screen, last = done.stdout.splitlines()
    told: dict[str, Any] = json.loads(last.removeprefix("TOLD "))
    assert told["steps"][:3] == ["ingest", "audit", "features"]
    # Run four times: reused where nothing that it declares changed, computed anew where it did.
    lines = [line.removeprefix("crossmix> ").split() for line in screen]
    assert [line[1] for line in lines if line[1] in ("running", "reused")] == ["running", "reused", "running", "reused"]
    assert lines[1][0] == "audit"
    assert screen[1].endswith("s, score 1.072e+06")
    assert len(told["keys"]) == 2
    assert told["key"] in told["keys"]
    assert told["summary"]["steps"]["audit"] == {"score": 214_332 * 5.0}
    assert list(told["summary"]["seconds"])[:2] == ["ingest", "audit"]
    assert told["report"]


def test_the_pipeline_and_the_command_line_have_it(tree: Path, tmp_path: Path) -> None:
    done = python(tree, "-m", "pipelines.cli.main", "compile", "--out", str(tmp_path / "pipeline.yaml"))
    assert done.returncode == 0, done.stderr
    spec: dict[str, Any] = yaml.safe_load((tmp_path / "pipeline.yaml").read_text())
    task = spec["root"]["dag"]["tasks"]["audit"]
    assert task["inputs"]["artifacts"]["dataset"]["taskOutputArtifact"]["producerTask"] == "ingest"


def test_a_declaration_with_another_name_is_refused(tree: Path) -> None:
    (tree / "components" / "other").mkdir()
    (tree / "components" / "other" / "__init__.py").write_text("")
    (tree / "components" / "other" / "step.py").write_text("from components.audit.step import STEP\n")
    try:
        done = python(tree, "-c", "from components.declared import steps; steps()")
    finally:
        shutil.rmtree(tree / "components" / "other")
    assert done.returncode == 1
    assert "components/other/step.py: its STEP is called 'audit'; name it so" in done.stderr
