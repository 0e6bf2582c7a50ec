"""The bundle that serves: the registry's champion, followed without a restart.

The registry is asked every few seconds. A new champion is fetched, verified and put in the old one's place between two
answers; one that does not verify, or was made for another state layout, is refused and the old one keeps serving. While
the registry is away the last good bundle serves, also after a restart: it lies in the server's own folder. A server
asks before it answers (`ask`); until it has, that is its trouble. A run's own bundle, whose version nobody knows before
the registry was asked, answers nothing until then (`ready`).
"""

from __future__ import annotations

import json
import logging
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from crossmix import bundle as bundles
from crossmix import files
from crossmix.background import sentence
from crossmix.bundle import Bundle, BundleError
from crossmix.clock import Clock, wall
from crossmix.registry import scratch
from crossmix.registry.mlflow_door import NoVersionError
from serving.live.asked import Asked

if TYPE_CHECKING:
    from crossmix.registry.store import Registry
    from crossmix.registry.version import Version

_log = logging.getLogger(__name__)
RETRY_SECONDS = 60.0
"""After which a refused version is tried again: its artifacts may have been mended."""
KEPT = 3
"""Newest bundles that stay in the folder."""


@dataclass(frozen=True, slots=True)
class Serving:
    """What serves."""

    bundle: Bundle
    version: int | None
    """In the registry; `None`: it came from a folder."""
    since: float
    """Seconds, UTC."""


class Champion:
    """The champion of a registry, or a bundle's folder where there is no registry.

    Args:
        folder: the server's own, where fetched bundles are kept.
        registry: makes the registry's client; `None`: `fallback` serves for good.
        fallback: a bundle's folder for the first start without a registry.
        clock: the time from which on a bundle serves.
        asked: takes what the registry is asked, for who waits meanwhile.

    Raises:
        BundleError: nothing can serve: no registry, no kept bundle, no fallback.
    """

    def __init__(
        self,
        folder: Path,
        registry: Callable[[], Registry] | None,
        fallback: Path | None,
        clock: Clock = wall,
        asked: Asked | None = None,
    ) -> None:
        self.folder = Path(folder) / "bundles"
        self.clock = clock
        self.asked = asked or Asked()
        scratch.sweep(self.folder)
        self.trouble: str | None = None
        self.since: float | None = None
        self._make = registry
        self._made = threading.Event()
        """The registry's client was made, or cannot be."""
        self._registry: Registry | None = None
        self._lock = threading.Lock()
        self._told = False
        """The trouble stands in the log."""
        self._refused: tuple[str, float] | None = None
        self._promotion: Mapping[str, str] = {}
        self.spare: Path | None = None
        """A bundle's folder that stays, beside the newest."""
        self._settled = registry is None
        """Which version serves is known, or that the registry has none."""
        kept = self._kept()
        self.current = self._first(fallback) if kept is None else kept
        if self._make is not None and self._registry is None:
            self._ill("registry: not asked yet", told=False)

    @property
    def ready(self) -> bool:
        """Whether what serves may answer: its version is known, or the registry said that it has no champion."""
        return self._settled or self.current.version is not None

    @property
    def awaited(self) -> str:
        """What the registry is asked just now, or why it was not answered, in a sentence."""
        return self.asked.told() or self.trouble or "registry: not asked yet"

    def ask(self, seconds: float) -> bool:
        """`refresh`, for which nobody waits longer than so many seconds; what comes later counts when it comes.

        The registry's client is made before they are counted: what takes long there is this machine's.
        """
        if self._make is None:
            return False
        before = self.current
        asking = threading.Thread(target=self.refresh, name="registry", daemon=True)
        asking.start()
        self._made.wait()
        asking.join(seconds)
        if asking.is_alive():
            self._ill(f"registry: no answer within {seconds:g} s{self._unnamed()}")
        return self.current is not before

    def refresh(self) -> bool:
        """Ask the registry and follow its champion; whether another bundle serves now. Trouble is kept, not raised."""
        if self.current.since > (now := self.clock().timestamp()):
            # Noted by a clock that ran ahead.
            self.current = replace(self.current, since=now)
        if self._make is None:
            return False
        with self._lock:
            try:
                try:
                    self.asked.begin("its client is made")
                    registry = self._registry = self._registry or self._make()
                finally:
                    self._made.set()
                self.asked.begin("it is asked for its champion")
                champion = registry.get("champion")
                self._promotion = champion.promotion
                if champion.digest == self.current.bundle.digest:
                    if champion.number != self.current.version:
                        self.current = Serving(self.current.bundle, champion.number, self.current.since)
                        self._note(self.current)
                    self._well()
                    return False
                if self._lately_refused(champion.digest):
                    return False
                return self._follow(registry, champion)
            except NoVersionError as error:
                self._settled = True
                self._ill(f"registry: {sentence(error)}{self._unnamed()}")
                return False
            except Exception as error:  # MLflow's stores raise their own kinds each
                self._registry = None
                self._ill(f"registry: {sentence(error)}{self._unnamed()}")
                return False
            finally:
                self.asked.end()

    def promotion(self) -> Mapping[str, str]:
        """`actor` and `reason` of what made the champion, as the registry noted it; empty where it is not known."""
        return self._promotion

    def _unnamed(self) -> str:
        """Why answers have no version, or why there are none, where it is so."""
        if self.current.version is not None:
            return ""
        if self._settled:
            return "; the run's own bundle serves, of an unknown version"
        return "; nothing is answered until it says which version serves"

    def _lately_refused(self, digest: str) -> bool:
        if self._refused is None or self._refused[0] != digest:
            return False
        return time.monotonic() - self._refused[1] < RETRY_SECONDS

    def fetch(self, name: str | int) -> tuple[Version, Bundle]:
        """A version by number or alias, and its bundle, in this server's folder.

        Raises:
            BundleError: it does not verify, or was made for another server; or there is no registry.
            Whatever the registry raises.
        """
        if self._make is None:
            raise BundleError("bundle: this server has no registry; start it with one to try another version")
        registry = self._registry or self._make()
        version = registry.get(name)
        return version, self._fetched(registry, version.number, version.digest)

    def bundle_of(self, version: int, digest: str) -> Bundle:
        """The same by number and digest: from this server's folder where it lies there, without the registry."""
        try:
            return self._checked(bundles.load(self.folder / digest[:16]))
        except BundleError:
            if self._make is None:
                raise
            return self._fetched(self._registry or self._make(), version, digest)

    def _fetched(self, registry: Registry, version: int, digest: str) -> Bundle:
        target = self.folder / digest[:16]
        try:
            loaded = bundles.load(target) if (target / "manifest.json").is_file() else None
        except BundleError:
            loaded = None
        return self._checked(registry.fetch(version, target) if loaded is None else loaded)

    def _checked(self, loaded: Bundle) -> Bundle:
        """The same; raises `BundleError` for one of another state layout or of other platforms."""
        if loaded.layout.digest != self.current.bundle.layout.digest:
            raise BundleError(
                f"state_layout.json: layout {loaded.layout.label}, {loaded.layout.digest[:12]}; this server serves "
                f"{self.current.bundle.layout.label}, {self.current.bundle.layout.digest[:12]}: start a server of "
                "its own for it"
            )
        if loaded.platforms != self.current.bundle.platforms:
            raise BundleError(
                f"platforms.json: {', '.join(loaded.platforms)}; this server serves "
                f"{', '.join(self.current.bundle.platforms)}: start a server of its own for them"
            )
        return loaded

    def _follow(self, registry: Registry, champion: Version) -> bool:
        self._fetches(champion)
        try:
            loaded = self._fetched(registry, champion.number, champion.digest)
        except BundleError as error:
            self._refused = (champion.digest, time.monotonic())
            rest = "the last good one serves" if self.ready else "and there is no other to answer by"
            self._ill(f"bundle: version {champion.number} is refused, {rest} ({sentence(error)})")
            return False
        self.current = Serving(loaded, champion.number, self.clock().timestamp())
        self._note(self.current)
        self._tidy()
        self._well()
        _log.info("serving version %s, bundle %s", champion.number, loaded.digest[:12])
        return True

    def _first(self, fallback: Path | None) -> Serving:
        if fallback is not None and (Path(fallback) / "manifest.json").is_file():
            try:
                return Serving(bundles.load(Path(fallback)), None, self.clock().timestamp())
            except BundleError as error:
                if self._make is None:
                    raise
                _log.warning("%s does not serve: %s", fallback, error)
        if self._make is None:
            raise BundleError(f"bundle: {fallback} holds none; name a bundle's folder or a registry with a champion")
        try:
            self.asked.begin("its client is made")
            self._registry = self._make()
            self.asked.begin("it is asked for its champion")
            champion = self._registry.get("champion")
            self._fetches(champion)
            loaded = self._registry.fetch(champion.number, self.folder / champion.digest[:16])
        finally:
            self.asked.end()
        serving = Serving(loaded, champion.number, self.clock().timestamp())
        self._note(serving)
        return serving

    def _fetches(self, champion: Version) -> None:
        self.asked.begin(f"version {champion.number} is fetched", self.folder / champion.digest[:16])

    def _kept(self) -> Serving | None:
        """What served last, if it still verifies."""
        try:
            kept = json.loads((self.folder / "serving.json").read_text())
            loaded = bundles.load(self.folder / kept["folder"] if "folder" in kept else Path(kept["path"]))
        except (OSError, ValueError, KeyError):
            return None
        return Serving(loaded, kept["version"], float(kept["since"]))

    def _note(self, serving: Serving) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        path = serving.bundle.path
        where = {"folder": path.name} if path.parent == self.folder else {"path": str(path.absolute())}
        files.write_json(self.folder / "serving.json", {**where, "version": serving.version, "since": serving.since})

    def _tidy(self) -> None:
        manifests = sorted(self.folder.glob("*/manifest.json"), key=lambda file: file.stat().st_mtime)
        for file in manifests[:-KEPT]:
            if file.parent not in (self.current.bundle.path, self.spare):
                shutil.rmtree(file.parent, ignore_errors=True)

    def _ill(self, trouble: str, *, told: bool = True) -> None:
        if self.trouble is None:
            self.since = time.time()
        if told and not self._told:
            _log.warning("%s", trouble)
        self.trouble, self._told = trouble, told

    def _well(self) -> None:
        self.trouble, self.since, self._refused, self._told = None, None, None, False
