"""The house's import rules (`.importlinter`), and that each of them is a rule: a breach is found."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("crossmix", "components", "pipelines", "feature_repo", "serving", "monitoring")
HEAVY = ("torch", "transformers", "mlflow", "feast", "kfp", "matplotlib", "pandas", "ibis", "numpy")


def lint(folder: Path, *contract: str) -> subprocess.CompletedProcess[str]:
    """Run import-linter on the packages that lie in `folder`."""
    command = [
        str(Path(sys.executable).with_name("lint-imports")),
        "--no-cache",
        "--config",
        str(ROOT / ".importlinter"),
    ]
    command += [part for name in contract for part in ("--contract", name)]
    environment = os.environ | {"PYTHONPATH": str(folder), "PYTHONSAFEPATH": "1", "COLUMNS": "200"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_the_house_keeps_its_rules() -> None:
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("contract", "module", "line"),
    [
        ("rooms", "crossmix.schema", "import pipelines.cli.main"),
        ("rooms", "serving", "import monitoring"),
        ("domain", "crossmix.market.price", "import crossmix.fusion.model"),
        ("domain", "crossmix.agents.policy", "import crossmix.market.model"),
        ("domain", "crossmix.state", "import crossmix.history"),
        ("domain", "crossmix.surprise", ""),
        ("mlflow", "pipelines.local", "import mlflow"),
        ("feast", "crossmix.market.fit.fit", "import feast"),
        ("kfp", "crossmix.training.loop", "import kfp"),
        ("tables", "crossmix.market.fit.fit", "import duckdb"),
        ("database", "serving.live.live", "import sqlalchemy as sa"),
        ("database", "pipelines.cli.experiment", "from alembic import command"),
        ("platforms", "crossmix.training.loop", "import evidently"),
        ("gymnasium", "crossmix.training.loop", "import gymnasium"),
        ("kserve", "pipelines.cli.serve", "import kserve"),
    ],
)
def test_a_breach_is_found(contract: str, module: str, line: str, tmp_path: Path) -> None:
    for package in PACKAGES:
        for source in (ROOT / package).rglob("*.py"):
            copy = tmp_path / source.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(source.read_text())
    place = tmp_path.joinpath(*module.split("."))
    file = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
    old = file.read_text() if file.exists() else ""
    file.write_text(f"{old}\n{line}\n")
    done = lint(tmp_path, contract)
    assert done.returncode == 1, done.stdout
    assert "BROKEN" in done.stdout


def test_help_imports_nothing_heavy() -> None:
    """The reason why `crossmix --help` answers in under a second, told without a clock."""
    probe = f"import sys, pipelines.cli.main; print(*sorted(set({HEAVY!r}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
