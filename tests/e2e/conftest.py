"""One small run of everything, shared by the end-to-end tests."""

from __future__ import annotations

import pytest

from tests.support.small_run import Ran, crossmix


@pytest.fixture(scope="session")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """A first run, from nothing."""
    return crossmix(tmp_path_factory.mktemp("e2e") / "out")
