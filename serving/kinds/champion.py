"""Which bundle of a kind serves: the champion of its registered model, followed without a restart.

While there is none, or none that can serve, nothing does, and questions are answered with one sentence. While the
registry is away the last good one serves, also after a restart: it lies in the server's own folder.
"""

from __future__ import annotations

import json
import logging
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crossmix import files
from crossmix.background import sentence
from crossmix.bundle import BundleError
from crossmix.clock import Clock, wall
from crossmix.registry import scratch
from serving.kinds.answering import Answering
from serving.kinds.known import Known

if TYPE_CHECKING:
    from crossmix.registry.store import Registry

_log = logging.getLogger(__name__)
RETRY_SECONDS = 60.0
"""After which a refused version is tried again: its artifacts may have been mended."""
KEPT = 2
"""Newest bundles that stay in the folder."""


class NoChampionError(RuntimeError):
    """Nothing of this kind serves: 503."""


@dataclass(slots=True)
class Held:
    """A bundle that answers, or has yet to answer the last who asked it."""

    answering: Answering
    digest: str
    version: int | None
    """In the registry."""
    since: float
    """Seconds, UTC."""
    users: int = 0
    retired: bool = False


class KindChampion:
    """The champion of a kind.

    Args:
        known: the kind.
        folder: the server's own; bundles are kept in its folder `kinds`.
        registry: makes the registry's client of this kind; `None`: a server without one.
        clock: the time from which on a bundle serves, and at which questions are asked.
        features: feature folder, for kinds that read it.
    """

    def __init__(
        self,
        known: Known,
        folder: Path,
        registry: Callable[[], Registry] | None,
        clock: Clock = wall,
        features: Path | None = None,
    ) -> None:
        self.known, self.folder, self.clock = known, Path(folder) / "kinds" / known.kind, clock
        self.features = features
        scratch.sweep(self.folder)
        self.trouble: str | None = None
        """Why another than the champion serves, or none; `None`: the champion does, or there is none."""
        self._make = registry
        self._registry: Registry | None = None
        self._turn, self._swapping = threading.Lock(), threading.Lock()
        self._refused: tuple[str, float, str] | None = None
        """Digest, when (monotonic seconds), and why."""
        self._current: Held | None = None
        self._asked = self._started = self._stopped = False
        self._coming: int | None = None
        self._warming: Answering | None = None

    @property
    def kind(self) -> str:
        """Its name, which is the KServe model's."""
        return self.known.kind

    @property
    def version(self) -> int | None:
        """Of the bundle that serves, in the registry."""
        held = self._current
        return None if held is None else held.version

    @property
    def ready(self) -> bool:
        """Whether something serves."""
        return self._current is not None

    def absent(self) -> NoChampionError:
        """Why nothing serves."""
        # Another thread changes them, and that it has asked comes last: whoever reads it first knows the rest.
        asked, coming, trouble = self._asked, self._coming, self.trouble
        if self._make is None:
            why = "this server has no registry; start it with one"
        elif coming is not None:
            why = f"version {coming} is starting; ask again in a while"
        elif trouble is not None:
            why = trouble
        elif not asked:
            why = "the registry was not asked yet; ask again"
        else:
            why = (
                f"no champion of kind {self.kind} is registered; `crossmix run --set task={self.known.task}` makes one"
            )
        return NoChampionError(f"model {self.kind}: {why}")

    @contextmanager
    def using(self) -> Iterator[Held]:
        """What serves, held until the block ends; raises `NoChampionError`."""
        with self._swapping:
            held = self._current
            if held is None:
                raise self.absent()
            held.users += 1
        try:
            yield held
        finally:
            with self._swapping:
                held.users -= 1
                last = held.retired and held.users == 0
            if last:
                held.answering.close()

    @property
    def kept(self) -> bool:
        """Whether something served here before, which `start` serves again."""
        return self._noted.is_file()

    @property
    def state(self) -> str:
        """`serving`; or, while nothing does, `starting` (a bundle is), `asking` (the registry) or `none`."""
        return self._stands()[0]

    def _stands(self) -> tuple[str, int | None, Held | None]:
        """`state`, the version that is coming, and what serves, as one thing whatever another thread changes."""
        asked, coming = self._asked, self._coming  # before what serves: what was coming may serve by then
        held = self._current
        if held is not None:
            return "serving", coming, held
        if coming is not None:
            return "starting", coming, None
        return "none" if asked or self._make is None else "asking", None, None

    def follow(self) -> None:
        """Serve what served last, the first time; then ask the registry (`refresh`). It takes as long as it takes."""
        if not self._started:
            self._started = True
            self.start()
        self.refresh()

    def start(self) -> None:
        """Serve what served last, if it still verifies and nothing serves yet."""
        with self._turn:
            if self._stopped or self.ready or not self.kept:
                return
            try:
                kept = json.loads(self._noted.read_text())
                where, self._coming = self.folder / str(kept["folder"]), int(kept["version"])
                self._serve(self.known.opened(where), int(kept["version"]), float(kept["since"]))
            except Exception as error:  # whatever a bundle holds, the server starts without it, and asks the registry
                if not self._stopped:
                    _log.warning("kind %s: what served last does not serve again (%s)", self.kind, sentence(error))
            finally:
                self._coming = None

    def refresh(self) -> bool:
        """Ask the registry and follow its champion; whether another bundle serves now. Trouble is kept, not raised."""
        if self._make is None:
            return False
        from crossmix.registry.mlflow_door import RegistryError

        with self._turn:
            if self._stopped:
                return False
            try:
                self._registry = self._registry or self._make()
                try:
                    champion = self._registry.get("champion")
                except RegistryError as error:  # there is none
                    self._ill(None if self._current is None else f"registry: {sentence(error)}")
                    return False
                return self._follow(champion.number, champion.digest)
            except Exception as error:  # MLflow's stores raise their own kinds each
                self._registry = None
                self._ill(f"registry: {sentence(error)}")
            finally:
                # Last: until then nobody is told that nothing comes, and that nothing is wrong.
                self._asked, self._coming = True, None
        return False

    def stop(self) -> None:
        """Give back what the bundle holds, once nobody asks it any more, and start no other."""
        with self._swapping:
            self._stopped, warming = True, self._warming
        if warming is not None:
            warming.close()  # whoever starts it learns that there is nothing to wait for
        self._retire(None)

    def told(self) -> dict[str, Any]:
        """For `/serving`."""
        state, coming, held = self._stands()
        return {
            "kind": self.kind,
            "version": None if held is None else held.version,
            "bundle": None if held is None else held.digest,
            "since": None if held is None else held.since,
            "state": state,
            "coming": coming,
            "trouble": self.trouble,
        }

    def _follow(self, number: int, digest: str) -> bool:
        held = self._current
        if held is not None and held.digest == digest:
            if held.version != number:
                held.version = number
                self._note(number, digest, held.since)
            self._ill(None)
            return False
        if (why := self._lately_refused(digest)) is not None:
            self._ill(why)  # and not what the registry was ill with since
            return False
        assert self._registry is not None
        self._coming, loaded = number, None
        try:
            loaded = self._registry.fetch(number, self.folder / digest[:16])
            if self._stopped:
                return False
            self._serve(loaded, number, self.clock().timestamp())
        except Exception as error:  # whatever starting raises, as out of memory or a network's runtime
            if loaded is None and not isinstance(error, BundleError):
                raise  # the registry's
            self._refuse(number, digest, error)
            return False
        if self._stopped:
            return False  # it never served
        self._coming = None
        self._note(number, digest, self.clock().timestamp())
        self._tidy()
        self._refused = None
        self._ill(None)
        _log.info("kind %s: serving version %s, bundle %s", self.kind, number, digest[:12])
        return True

    def _serve(self, loaded: Any, version: int, since: float) -> None:
        answering = self.known.answers(loaded, self.features, self.clock)
        try:
            with self._swapping:
                self._warming = answering
            if not self._stopped:
                answering.warm()
        except BaseException:
            answering.close()
            raise
        finally:
            with self._swapping:
                self._warming = None
        self._retire(Held(answering, str(loaded.digest), version, since))

    def _retire(self, new: Held | None) -> None:
        with self._swapping:
            if self._stopped:
                old, self._current = (self._current if new is None else new), None
            else:
                old, self._current = self._current, new
            if old is not None:
                old.retired = True
            free = old is not None and old.users == 0
        if free and old is not None:
            old.answering.close()

    def _refuse(self, number: int, digest: str, error: Exception) -> None:
        if self._stopped:
            return
        reason, expected = sentence(error), isinstance(error, BundleError)
        if not expected and str(error).strip():
            reason = f"{type(error).__name__}: {reason}"
        kept = "nothing serves" if self._current is None else "the last good one serves"
        why = f"bundle: version {number} is refused, {kept} ({reason})"
        self._refused = (digest, time.monotonic(), why)
        self._ill(why, None if expected else error)

    def _lately_refused(self, digest: str) -> str | None:
        """Why, where it was."""
        if self._refused is None or self._refused[0] != digest:
            return None
        return self._refused[2] if time.monotonic() - self._refused[1] < RETRY_SECONDS else None

    def _note(self, version: int, digest: str, since: float) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        files.write_json(self._noted, {"folder": digest[:16], "version": version, "since": since})

    @property
    def _noted(self) -> Path:
        return self.folder / "serving.json"

    def _tidy(self) -> None:
        current = "" if self._current is None else self._current.digest[:16]
        others = [file for file in self.folder.glob("*/manifest.json") if file.parent.name != current]
        # The one that serves is the newest, whatever its file's time says: several may have one time.
        for file in sorted(others, key=lambda file: file.stat().st_mtime)[: max(len(others) + 1 - KEPT, 0)]:
            shutil.rmtree(file.parent, ignore_errors=True)

    def _ill(self, trouble: str | None, cause: BaseException | None = None) -> None:
        if trouble is not None and trouble != self.trouble:
            _log.warning("kind %s: %s", self.kind, trouble, exc_info=cause)
        self.trouble = trouble
