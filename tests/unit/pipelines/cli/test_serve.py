"""`crossmix serve`: the order in which a server comes up."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROBE = """
import sys
from types import SimpleNamespace
import serving.live.live as live

class Watched:
    def __init__(self, *_):
        pass

    def start(self):
        print(*sorted({"scipy.stats", "serving.canary.watch", "serving.feedback.materialise"} & set(sys.modules)))
        raise SystemExit

live.Live = Watched
from pipelines.cli.serve import serve
names = ("config", "own", "database", "champion", "features", "clock", "named")
champion = SimpleNamespace(asked=SimpleNamespace(told=lambda: None))
start = SimpleNamespace(**{**dict.fromkeys(names), "champion": champion})
serve(start, SimpleNamespace(role=sys.argv[1]), print)
"""


@pytest.mark.parametrize(
    ("role", "there"),
    [
        ("all", ["scipy.stats", "serving.canary.watch", "serving.feedback.materialise"]),
        ("router", ["scipy.stats", "serving.canary.watch"]),
        ("policy", []),
    ],
)
def test_what_a_role_needs_is_imported_before_any_thread_begins(role: str, there: list[str]) -> None:
    """A pusher's thread imports torch: SciPy, imported meanwhile, once found it half there, and the server ended."""
    done = subprocess.run([sys.executable, "-c", PROBE, role], capture_output=True, text=True, check=True)
    assert done.stdout.split() == there
