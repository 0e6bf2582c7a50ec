"""What all tests share: one torch thread, as the runner's steps have, so that the same seed gives the same bytes."""

from __future__ import annotations

import inspect
import os
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

os.environ.setdefault("OMP_NUM_THREADS", "1")

SHARED = ("tests/e2e/", "tests/service/")
"""Folders whose tests share one run: they stay on one worker."""

# On a machine that does other work examples are drawn slowly, though nothing is wrong.
settings.register_profile("busy", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")


def pytest_collection_finish() -> None:
    """KFP takes its caller's name from `inspect.stack()` at every setting of a task: reading each frame's source.

    Beneath pytest, with all test modules imported, that makes compiling a pipeline seven times as slow. Its names alone
    are the same without the sources.
    """
    task = sys.modules.get("kfp.dsl.pipeline_task")
    if task is not None:
        task.inspect = SimpleNamespace(stack=lambda: inspect.stack(context=0))  # type: ignore[attr-defined]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Which tests stay together when several workers run them: a file's, or a folder's that shares a run.

    By a scheduler and not by `xdist_group`, whose marks pytest-xdist 3.8 loses under pytest 9.
    """
    from xdist.scheduler import LoadScopeScheduling

    class Together(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return next((folder for folder in SHARED if nodeid.startswith(folder)), nodeid.partition("::")[0])

    return Together(config, log)
