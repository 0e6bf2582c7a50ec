"""One clock: what serves, watches and is written down asks the clock that it was given, not the machine's.

Who asks the machine itself is listed here with the reason.
"""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROOMS = ("serving", "monitoring", "crossmix/ledger", "crossmix/cycles.py")
MACHINE = {("datetime", "now"), ("datetime", "utcnow"), ("datetime", "today"), ("date", "today"), ("time", "time")}
ALLOWED = {
    "serving/http/logs.py:_of_request": "a line of the log has the machine's time, whatever a driver does to the clock",
    "serving/live/champion.py:_ill": "since when the registry is in trouble",
    "serving/live/live.py:troubles": "since when something is away, where it is not known better",
    "serving/live/live.py:_database_away": "since when the database is away",
    "crossmix/ledger/store.py:write": "since when the database refuses writers",
    "serving/campaigns/lane.py:_away": "since when the kill switch's changes wait for the database",
    "serving/live/live.py:_experiment": "since when settings of the start are not followed",
    "serving/live/states.py:_ill": "since when the feature store is away",
    "serving/page/csrf.py:__init__": "how long a signed form holds",
}


def asking(tree: ast.AST) -> set[str]:
    """Innermost functions in which the machine is asked what time it is; "" outside of all."""
    found = set()

    def visit(node: ast.AST, function: str) -> None:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            function = node.name
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name | ast.Attribute):
            owner = node.value.id if isinstance(node.value, ast.Name) else node.value.attr
            if (owner, node.attr) in MACHINE:
                found.add(function)
        for child in ast.iter_child_nodes(node):
            visit(child, function)

    visit(tree, "")
    return found


def test_only_the_listed_ask_the_machine_for_the_time() -> None:
    files = [
        file for room in ROOMS for file in ([ROOT / room] if room.endswith(".py") else (ROOT / room).rglob("*.py"))
    ]
    assert len(files) > 50
    found = {
        f"{file.relative_to(ROOT)}:{function}" for file in files for function in asking(ast.parse(file.read_text()))
    }
    assert found - ALLOWED.keys() == set(), "ask the clock that `Live` or the store has, or say here why not"
    assert ALLOWED.keys() - found == set(), "no longer asks: take it off the list"


def test_the_look_sees_every_way_to_ask() -> None:
    text = """
from datetime import datetime
import datetime as d, time
at = datetime.now()
def one(now=lambda: d.datetime.now(d.UTC)): return now()
def two(): return time.time()
def three(clock): return clock(), time.monotonic()
"""
    assert asking(ast.parse(text)) == {"", "one", "two"}
