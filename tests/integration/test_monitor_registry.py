"""A look where there is no run's folder: what serves is the registry's champion, asked each time."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from crossmix import bundle as bundles
from crossmix.ledger.store import Store
from crossmix.registry.store import Registry
from monitoring.monitors import MonitorError
from pipelines.cli.main import app
from pipelines.cli.monitor import champion_of
from tests.support.bundles import make


def test_what_serves_is_the_champion_of_the_moment(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "out" / "mlartifacts", model="watched")
    with champion_of(registry.uri, ["registry.model=watched"]) as served:
        with pytest.raises(MonitorError, match="watched"):
            served()
        first, second = (make(tmp_path / f"policy-{seed}", seed=seed) for seed in (0, 1))
        for one in (first, second):
            registry.register(one.path)
        told = served()
        assert told.bundle is not None
        assert bundles.load(told.bundle).digest == first.digest
        assert served().bundle == told.bundle
        registry.promote(2, actor="a test", reason="better")
        other = served()
        assert other.bundle is not None
        assert bundles.load(other.bundle).digest == second.digest
        assert other.market is not None
        with pytest.raises(ValueError, match="market"):
            other.market(second.digest)
    assert not other.bundle.exists()


def test_the_command_looks_by_it_and_says_what_excludes_what(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "out" / "mlartifacts")
    champion = make(tmp_path / "policy")
    registry.register(champion.path)
    ledger = f"sqlite:///{tmp_path / 'ledger.db'}"
    Store(ledger).close()
    look = ["monitor", "look", "--database", ledger, "--registry", registry.uri]
    looked = CliRunner().invoke(app, look)
    assert looked.exit_code == 0, looked.output
    assert f"bundle {champion.digest[:12]} carries no thresholds" in looked.output
    both = CliRunner().invoke(app, [*look, "--bundle", str(tmp_path / "policy")])
    assert both.exit_code == 2
    assert "drop OUT and --bundle" in both.output
