"""One clock: what serves, watches, runs and is written down asks the clock that it was given, not the machine's.

Who asks the machine itself is listed here with the reason.
"""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROOMS = ("serving", "monitoring", "crossmix", "pipelines")
MACHINE = {
    ("datetime", "now"),
    ("datetime", "utcnow"),
    ("datetime", "today"),
    ("date", "today"),
    ("time", "time"),
    ("time", "time_ns"),
}
ALLOWED = {
    "serving/http/logs.py:_of_request": "a line of the log has the machine's time, whatever a driver does to the clock",
    "serving/live/champion.py:_ill": "since when the registry is in trouble",
    "serving/live/live.py:troubles": "since when something is away, where it is not known better",
    "serving/live/database.py:away": "since when the database is away",
    "crossmix/background.py:_ill": "since when a loop is in trouble",
    "crossmix/clock.py:__call__": "since when a driven clock's file has no time",
    "crossmix/clock.py:wall": "the machine's time itself, for who is given no other clock",
    "crossmix/ledger/store.py:write": "since when the database refuses writers",
    "crossmix/registry/learning_curve.py:log": "MLflow wants a metric's time; nothing is decided by it",
    "crossmix/registry/store.py:_promote": "when a version was promoted: the registry's own record",
    "crossmix/registry/refusing.py:refuse": "when a version was refused: the registry's own record",
    "pipelines/local.py:_finish": "the name of a run is of when it was really made",
    "serving/campaigns/lane.py:_away": "since when the kill switch's changes wait for the database",
    "serving/canary/trial.py:follow": "since when the version on trial is not there",
    "serving/live/begun.py:read": "since when settings of the start are not followed",
    "serving/live/states.py:_ill": "since when the feature store is away",
    "serving/live/states.py:wait": "since when statistics wait to be read after a start",
    "serving/page/csrf.py:__init__": "how long a signed form holds",
}


def asking(tree: ast.AST) -> set[str]:
    """Innermost functions in which the machine is asked what time it is; "" outside of all."""
    found = set()
    names = {one.asname: one.name for node in ast.walk(tree) for one in getattr(node, "names", ()) if _renamed(one)}

    def visit(node: ast.AST, function: str) -> None:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            function = node.name
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name | ast.Attribute):
            owner = names.get(node.value.id, node.value.id) if isinstance(node.value, ast.Name) else node.value.attr
            if (owner, node.attr) in MACHINE:
                found.add(function)
        # Of a function taken out of its module every later use looks like any other name: taking it is asking.
        if isinstance(node, ast.ImportFrom) and any((node.module, one.name) in MACHINE for one in node.names):
            found.add(function)
        for child in ast.iter_child_nodes(node):
            visit(child, function)

    visit(tree, "")
    return found


def _renamed(one: object) -> bool:
    return isinstance(one, ast.alias) and one.asname is not None


def test_only_the_listed_ask_the_machine_for_the_time() -> None:
    files = [file for room in ROOMS for file in (ROOT / room).rglob("*.py")]
    assert len(files) > 150
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
def four(): return time.time_ns()
def five():
    from time import time_ns
    return time_ns()
def six():
    from time import time as seconds
    import datetime as days
    return seconds
def seven():
    import time as t
    return t.time()
def eight(moment): return datetime.fromtimestamp(moment), datetime.fromisoformat(moment), moment.st_mtime_ns
def nine():
    from time import monotonic, sleep
    return sleep(monotonic())
def ten():
    from datetime import datetime as dt
    return dt.now()
"""
    assert asking(ast.parse(text)) == {"", "one", "two", "four", "five", "six", "seven", "ten"}
    assert asking(ast.parse("from time import time")) == {""}
