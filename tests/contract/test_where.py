"""ARCHITECTURE.md answers where a thing lives: every path of its table is there, and defines what the table says."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
PATH = r"`((?:crossmix|serving|components|pipelines|feature_repo|monitoring|tests)/[\w./]*)`"
ROWS = re.findall(r"^\| ([^|]+\?) \| `([^`]+)` \| `([^`]+)` \|$", TEXT, re.MULTILINE)


def test_the_table_has_twenty_answers() -> None:
    assert len(ROWS) == 20
    assert len({path for _, path, _ in ROWS}) == 20


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
    missing = []
    for document in ("ARCHITECTURE.md", "README.md", "CONTRIBUTING.md", "docs/design.md", "docs/glossary.md"):
        text = (ROOT / document).read_text(encoding="utf-8")
        for path in re.findall(
            r"`((?:crossmix|serving|components|pipelines|feature_repo|monitoring|tests)/[\w./]*)`", text
        ):
            if not (ROOT / path).exists():
                missing.append(f"{document}: {path}")
    assert missing == []
