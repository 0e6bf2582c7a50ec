"""ARCHITECTURE.md answers where a thing lives: every path of its table is there, and defines what the table says."""

from __future__ import annotations

import ast
import configparser
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
PATH = r"`((?:crossmix|serving|components|pipelines|feature_repo|monitoring|tests)/[\w./]*)`"
ROWS = re.findall(r"^\| ([^|]+\?) \| `([^`]+)` \| `([^`]+)` \|$", TEXT, re.MULTILINE)


def test_the_table_has_twenty_one_answers() -> None:
    assert len(ROWS) == 21
    assert len({path for _, path, _ in ROWS}) == 21


@pytest.mark.parametrize(("question", "path", "name"), ROWS)
def test_a_thing_lives_where_the_table_says(question: str, path: str, name: str) -> None:
    names = set()
    for statement in ast.parse((ROOT / path).read_text(encoding="utf-8")).body:
        if isinstance(statement, ast.FunctionDef | ast.ClassDef):
            names.add(statement.name)
        for target in [*getattr(statement, "targets", []), getattr(statement, "target", None)]:
            if isinstance(target, ast.Name):
                names.add(target.id)
    assert name in names, question


def test_every_path_of_the_documents_is_there() -> None:
    """Paths in backticks below the top-level packages, in the documents that name files."""
    files = [*(ROOT / name for name in ("ARCHITECTURE.md", "README.md", "CONTRIBUTING.md")), *ROOT.glob("docs/**/*.md")]
    assert len(files) > 10
    missing = []
    for file in files:
        for path in re.findall(PATH, file.read_text(encoding="utf-8")):
            if not (ROOT / path).exists():
                missing.append(f"{file.relative_to(ROOT)}: {path}")
    assert missing == []


def test_the_picture_has_every_layer_of_the_import_rules() -> None:
    """Rooms of `crossmix` stand in ARCHITECTURE.md's picture in the order of `.importlinter`, and none is left out."""
    rules = configparser.ConfigParser()
    rules.read(ROOT / ".importlinter", encoding="utf-8")
    layers = rules["importlinter:contract:domain"]["layers"].split("\n")
    rooms = [set(re.findall(r"\w+", layer)) for layer in layers if layer.strip()]
    picture = TEXT.split("```")[1].split("\ncrossmix\n")[1].splitlines()
    lines = [set(re.findall(r"\w+", line)) for line in picture]
    first = 0
    for layer in rooms:
        position = next((number for number in range(first, len(lines)) if layer <= lines[number]), None)
        assert position is not None, sorted(layer)
        first = position + 1
