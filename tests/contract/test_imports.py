"""The import rules (`.importlinter`), and no circle of files; that each of them is a rule: a breach is found."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Collection
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("crossmix", "components", "pipelines", "feature_repo", "serving", "monitoring")
HEAVY = ("torch", "transformers", "mlflow", "feast", "kfp", "matplotlib", "pandas", "ibis", "numpy", "evidently")


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
        ("domain", "crossmix.creators.solve", "import crossmix.training.loop"),
        ("creators", "crossmix.creators.solve", "import crossmix.market.price"),
        ("journeys", "crossmix.journeys.windows", "import crossmix.creators.solve"),
        ("journeys", "crossmix.journeys.windows", "import crossmix.training.loop"),
        ("domain", "crossmix.evaluate.judge", "import crossmix.journeys.windows"),
        ("journeys", "crossmix.journeys.windows", "import crossmix.fusion.model"),
        ("mlflow", "pipelines.local", "import mlflow"),
        ("feast", "crossmix.market.fit.fit", "import feast"),
        ("kfp", "crossmix.training.loop", "import kfp"),
        ("tables", "crossmix.market.fit.fit", "import duckdb"),
        ("database", "serving.live.live", "import sqlalchemy as sa"),
        ("database", "pipelines.cli.experiment", "from alembic import command"),
        ("platforms", "crossmix.training.loop", "import kubernetes"),
        ("evidently", "monitoring.late_feed", "from evidently import Report"),
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


class Imports(ast.NodeVisitor):
    """What a file imports, at the top or inside a function; with `types`, also what only a type checker reads."""

    def __init__(self, files: Collection[str], package: list[str], *, types: bool) -> None:
        self.files, self.package, self.types, self.names = files, package, types, set[str]()

    def visit_If(self, node: ast.If) -> None:
        if not self.types and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            for child in node.orelse:
                self.visit(child)
        else:
            self.generic_visit(node)

    def visit_Import(self, node: ast.Import) -> None:
        self.names.update(name.name for name in node.names)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        above = self.package[: len(self.package) - node.level + 1] if node.level else []
        base = ".".join([*above, *([node.module] if node.module else [])])
        # `from package import name`: the module of that name, or else the package's own file.
        modules = (f"{base}.{name.name}" for name in node.names)
        self.names.update(module if module in self.files else base for module in modules)


def circle(root: Path, *, within: str = "", types: bool = False) -> list[str]:
    """Files of the house in `root` that import each other in a circle, the first one found; empty if there is none.

    Args:
        within: only files whose dotted name begins so.
    """
    files = {}
    for package in PACKAGES:
        for file in (root / package).rglob("*.py"):
            parts = file.relative_to(root).with_suffix("").parts
            files[".".join(parts).removesuffix(".__init__")] = file
    graph = {}
    for module, file in files.items():
        whole = file.name == "__init__.py"
        imports = Imports(files, module.split(".") if whole else module.split(".")[:-1], types=types)
        imports.visit(ast.parse(file.read_text()))
        graph[module] = {name for name in imports.names & files.keys() - {module} if name.startswith(within)}
    try:
        TopologicalSorter({name: graph[name] for name in graph if name.startswith(within)}).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_files_import_each_other_in_a_circle() -> None:
    assert circle(ROOT) == []


def test_the_markets_files_know_each_other_one_way_even_by_their_types() -> None:
    assert circle(ROOT, within="crossmix.market", types=True) == []


@pytest.mark.parametrize(
    ("line", "types", "found"),
    [
        ("from crossmix.market import first", False, True),
        ("def late():\n    from crossmix.market.first import thing", False, True),
        ("from . import first", False, True),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import crossmix.market.first", False, False),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import crossmix.market.first", True, True),
        ("from crossmix.market import thing", False, False),
    ],
    ids=["top", "late", "relative", "types", "types asked for", "the package's own"],
)
def test_a_circle_is_found(line: str, types: bool, found: bool, tmp_path: Path) -> None:
    """first -> second -> third -> first, where the last import is `line`."""
    folder = tmp_path / "crossmix" / "market"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").write_text("")
    (folder / "__init__.py").write_text("thing = 1\n")
    (folder / "first.py").write_text("from crossmix.market.second import thing\n")
    (folder / "second.py").write_text("import crossmix.market.third\n")
    (folder / "third.py").write_text(f"{line}\n")
    names = {f"crossmix.market.{name}" for name in ("first", "second", "third")}
    assert set(circle(tmp_path, types=types)) == (names if found else set())
