"""Whatever opens a browser is skipped without one, and the summary says so: nothing is skipped silently."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.support import browser

TESTS = Path(__file__).parents[1]


def opens_a_browser(source: str) -> dict[str, bool]:
    """Tests of a file that open a browser, and whether each has the mark."""
    found = {}
    for node in ast.walk(ast.parse(source)):
        if not (isinstance(node, ast.FunctionDef) and node.name.startswith("test_")):
            continue
        calls = {ast.unparse(one.func) for one in ast.walk(node) if isinstance(one, ast.Call)}
        if "browser.chromium" in calls:
            found[node.name] = "browser.needed" in map(ast.unparse, node.decorator_list)
    return found


def test_each_test_with_a_browser_has_the_mark() -> None:
    found = {
        file.name: opens_a_browser(file.read_text()) for file in TESTS.rglob("test_*.py") if file != Path(__file__)
    }
    with_one = {name: marks for name, marks in found.items() if marks}
    assert set(with_one) >= {"test_desk.py", "test_page.py"}
    assert {mark for marks in with_one.values() for mark in marks.values()} == {True}, with_one


def test_one_without_the_mark_is_found() -> None:
    body = "():\n    with browser.chromium(folder):\n        pass\n"
    assert opens_a_browser(f"def test_a{body}\n@browser.needed\ndef test_b{body}") == {"test_a": False, "test_b": True}


def test_the_reason_says_what_is_missing_and_the_summary_prints_it(pytestconfig: pytest.Config) -> None:
    reason = browser.needed.kwargs["reason"]
    assert reason.startswith("chromium is not installed: ")
    assert reason.endswith("apt-get install chromium")
    assert "-ra" in pytestconfig.getini("addopts"), "a skip's reason is printed"
