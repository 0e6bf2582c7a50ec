"""Features beside the bundle: fetched with the champion, and those of the start before where the registry is away."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from crossmix.registry import downloads
from crossmix.registry.mlflow_door import RegistryError
from serving.live.beside import Beside

REDIS = {"type": "redis", "connection_string": "${CROSSMIX_REDIS}"}


class Source:
    """A registry's features; `away`: it does not answer."""

    def __init__(self) -> None:
        self.away = False
        self.asked: list[int] = []

    def bring(self, registry: Any, version: int, target: Path) -> None:
        self.asked.append(version)
        if self.away:
            raise RegistryError("away")
        target.mkdir(exist_ok=True)
        (target / "registry.db").write_text(str(version))


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> Source:
    made = Source()
    monkeypatch.setattr(downloads, "features", made.bring)
    return made


def beside(folder: Path, online: dict[str, str] | None = None) -> Beside:
    return Beside(folder, lambda: None, online)  # type: ignore[arg-type, return-value]


def test_a_start_without_a_registry_serves_what_was_kept_and_needs_that(source: Source, tmp_path: Path) -> None:
    source.away = True
    with pytest.raises(RegistryError, match="away"):
        beside(tmp_path / "none").start(3)
    source.away = False
    beside(tmp_path / "kept").start(3)
    source.away = True
    again = beside(tmp_path / "kept", REDIS)
    again.start(4)
    assert (tmp_path / "kept" / "registry.db").read_text() == "3"
    assert "type: redis" in (tmp_path / "kept" / "feature_store.yaml").read_text()
    assert again.version is None, "nothing of this start was fetched"
    source.away = False
    again.follow(4)
    assert (again.version, (tmp_path / "kept" / "registry.db").read_text()) == (4, "4")


def test_a_version_is_fetched_once(source: Source, tmp_path: Path) -> None:
    made = beside(tmp_path / "features")
    made.start(3)
    for version in (3, None, 3, 5):
        made.follow(version)
    assert source.asked == [3, 5]
