"""What training goes on from, fetched back from a real MLflow (sqlite): policies and starts, of earlier trees too."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import pytest
import torch

from crossmix.market.model import load, save
from crossmix.registry.mlflow_door import RegistryError
from crossmix.registry.store import Registry
from crossmix.registry.trained import (
    KEPT_FOLDER,
    MARKET_FILES,
    MARKET_FOLDER,
    POLICY_FOLDER,
    START_FOLDER,
    adaptation_start,
    kept_market,
    trained_market,
    trained_policy,
)
from crossmix.training.policy_file import POLICY_FILES, START_FILES
from tests.support.actors import actor, same, start, trained
from tests.support.bundles import make
from tests.support.markets import make_market


def test_policy_and_start_are_fetched_back(tmp_path: Path) -> None:
    registry, policy = Registry(tmp_path / "out" / "mlartifacts"), actor(3)
    written, begun = tmp_path / "align", tmp_path / "meta"
    for folder in (written, begun):
        folder.mkdir()
    trained(policy).save(written)
    start(policy).save(begun)
    registry.register(
        make(tmp_path / "bundle").path,
        artifacts={f"{POLICY_FOLDER}/{name}": written / name for name in POLICY_FILES}
        | {f"{START_FOLDER}/{name}": begun / name for name in START_FILES},
    )
    fetched = trained_policy(registry, "champion")
    assert same(fetched.policy().state_dict(), policy.state_dict())
    assert torch.equal(fetched.log_sigma_P, trained(policy).log_sigma_P)
    begin = adaptation_start(registry, 1)
    assert same(begin.policy().state_dict(), policy.state_dict())
    assert list(begin.rates()) == [name for name, _ in policy.named_parameters()]

    # A version of before: no policy, and the start as it was written then.
    other = actor(4)
    rates = torch.zeros(len(list(other.parameters())))
    torch.save({"policy": other.state_dict(), "log_rates": rates, "steps": 5}, tmp_path / "meta.pt")
    old = make(tmp_path / "other", seed=1).path
    registry.register(old, artifacts={f"{START_FOLDER}/meta.pt": tmp_path / "meta.pt"})
    assert same(adaptation_start(registry, 2).policy().state_dict(), other.state_dict())
    with pytest.raises(RegistryError, match=r"version 2: its run holds no trained/; .*`crossmix run`"):
        trained_policy(registry, 2)
    # Versions of before their markets were kept.
    assert registry.folders(1) == (START_FOLDER, POLICY_FOLDER)
    with pytest.raises(RegistryError, match=r"version 1: its run holds no market/; .*`crossmix run`"):
        trained_market(registry, 1)


def test_a_bundles_market_is_fetched_once_and_then_kept(tmp_path: Path) -> None:
    registry, market = Registry(tmp_path / "out" / "mlartifacts"), make_market(seed=3)
    (tmp_path / "market").mkdir()
    save(market, tmp_path / "market")
    made = make(tmp_path / "bundle")
    held = {f"{MARKET_FOLDER}/{name}": tmp_path / "market" / name for name in MARKET_FILES}
    registry.register(made.path, artifacts=held)
    home = tmp_path / "home"
    folder = kept_market(lambda: registry, made.digest, home)
    assert folder == home / KEPT_FOLDER / made.digest[:16]
    assert [path.name for path in folder.parent.iterdir()] == [folder.name], "nothing half is left"
    assert load(folder).digest == market.digest

    def nobody() -> NoReturn:
        raise AssertionError("the registry is not asked for what is kept")

    assert kept_market(nobody, made.digest, home) == folder
    other = make(tmp_path / "other", seed=1)
    with pytest.raises(RegistryError, match=f"no version is of bundle {other.digest[:12]}"):
        kept_market(lambda: registry, other.digest, home)
    registry.register(other.path)
    with pytest.raises(RegistryError, match=r"version 2: its run holds no market/; .*`crossmix run`"):
        kept_market(lambda: registry, other.digest, home)
