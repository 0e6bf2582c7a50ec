"""The champion step: what serves, fetched from the registry, for re-adaptation to go on from."""

from __future__ import annotations

from pathlib import Path

from crossmix.artifacts import ServingVersion
from crossmix.config import Config
from crossmix.market.model import save
from crossmix.registry.downloads import FEATURES_FOLDER, features
from crossmix.registry.store import CHAMPION, Registry
from crossmix.registry.trained import (
    MARKET_FOLDER,
    POLICY_FOLDER,
    START_FOLDER,
    UNTIL,
    adaptation_start,
    trained_market,
    trained_policy,
)


def champion(config: Config, home: Path, out: Path) -> ServingVersion:
    """Write the champion's bundle/, trained/, market/, where there are some features/ and meta/, and champion.json.

    Args:
        home: the run's folder, where a registry without an address of its own lives.

    Raises:
        RegistryError: there is no champion, or its run holds no policy or no market; the message has the remedy.
        BundleError: its bundle is not what was registered.
    """
    registry = Registry.of(config, home)
    version = registry.get(CHAMPION)
    folders = {name: out / name for name in (POLICY_FOLDER, MARKET_FOLDER, START_FOLDER)}
    for folder in folders.values():
        folder.mkdir()
    trained_policy(registry, version.number).save(folders[POLICY_FOLDER])
    save(trained_market(registry, version.number), folders[MARKET_FOLDER])
    held = registry.folders(version.number)
    if FEATURES_FOLDER in held:
        features(registry, version.number, out / FEATURES_FOLDER)
    start = START_FOLDER in held
    if start:
        adaptation_start(registry, version.number).save(folders[START_FOLDER])
    registry.fetch(version.number, out / "bundle")
    report = ServingVersion(
        name=version.name,
        version=version.number,
        bundle_digest=version.digest,
        start=start,
        until=version.tags.get(UNTIL),
    )
    report.save(out)
    return report
