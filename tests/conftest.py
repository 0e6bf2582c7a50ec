"""What all tests share: one torch thread, as the runner's steps have, so that the same seed gives the same bytes."""

import os
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")

SHARED = ("e2e", "service")
"""Folders whose tests share one run: they stay on one worker."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Which tests stay together when several workers run them (`--dist loadgroup`): a file's, or a folder's.

    Before xdist's own hook, which writes the groups into the names it schedules by: later they would do nothing.
    """
    here = Path(__file__).parent
    for item in items:
        place = item.path.relative_to(here)
        group = place.parts[0] if place.parts[0] in SHARED else str(place)
        item.add_marker(pytest.mark.xdist_group(group))
