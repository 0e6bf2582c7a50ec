"""The builds of k8s/, once for all tests of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.manifests import BUILDS, Document, build, filled


@pytest.fixture(scope="session")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """k8s/ with made digests."""
    return filled(tmp_path_factory.mktemp("k8s"))


@pytest.fixture(scope="session")
def builds(copy: Path) -> dict[str, list[Document]]:
    """Every build's documents."""
    return {name: build(copy, name) for name in BUILDS}
