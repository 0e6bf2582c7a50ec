"""What all tests share: one torch thread, as the runner's steps have, so that the same seed gives the same bytes."""

from __future__ import annotations

import os
from typing import Any

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")

SHARED = ("tests/e2e/", "tests/service/")
"""Folders whose tests share one run: they stay on one worker."""


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
