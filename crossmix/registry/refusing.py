"""The registry as who tries versions needs it: one that was found bad is no challenger any more."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from crossmix.registry.store import CHALLENGER, Registry
from crossmix.registry.version import Version


@dataclass(frozen=True)
class RefusingRegistry(Registry):
    """A registry that notes what a trial found."""

    def refuse(self, version: str | int, *, actor: str, reason: str) -> Version:
        """Note that a version was found bad, and take the alias challenger from it. Repeated, it changes nothing.

        Raises:
            RegistryError: no such version.
        """
        with self._locked():
            wanted = self.get(version)
            now = datetime.now(UTC).isoformat(timespec="seconds")
            self._tag(wanted.number, "refused", {"actor": actor, "at": now, "reason": reason[:500]})
            if self._alias(CHALLENGER) == wanted.number:
                self._client.delete_registered_model_alias(self.model, CHALLENGER)
            return self.get(wanted.number, f"refused: {reason}")
