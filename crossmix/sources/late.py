"""Ibis, imported when it is first used: half a second that a history without anything to clean does not need."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ibis
else:

    class _Late:
        """A module's names, each looked up in the module."""

        def __getattr__(self, name: str) -> Any:
            return getattr(importlib.import_module("ibis"), name)

    ibis = _Late()

__all__ = ["ibis"]
