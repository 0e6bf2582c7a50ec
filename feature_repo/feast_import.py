"""Feast, imported in half of its time: a server starts, and a step begins, three processor seconds sooner.

Every class and function that Feast marks with typeguard's `typechecked` is parsed and compiled anew as it is defined,
for checks of argument types that nothing here relies on. They are held back while Feast is imported, and only then.
Torch, which Feast loads wherever it is installed, waits until somebody asks Feast for tensors: a server never does.
"""

from __future__ import annotations

import importlib
import os
import sys
import threading
import types
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_lock = threading.Lock()


def import_feast() -> None:
    """Import Feast, so that a later `from feast import ...` finds it loaded. Does nothing where it is already."""
    os.environ.setdefault("FEAST_USAGE", "False")  # earlier versions of Feast reported their use home; 0.67 does not
    with _lock:
        if "feast" in sys.modules:
            return
        # Importing Feast turns every library's deprecation warnings on.
        with warnings.catch_warnings(), _without_type_checks():
            _torch_when_asked()
            import feast  # noqa: F401


@contextmanager
def _without_type_checks() -> Iterator[None]:
    import typeguard

    def unchecked(target: Any = None, **_: Any) -> Any:
        return unchecked if target is None else target

    checked = typeguard.typechecked
    typeguard.typechecked = unchecked
    try:
        yield
    finally:
        typeguard.typechecked = checked


def _torch_when_asked() -> None:
    """Feast's way to torch loads it as Feast is imported; in its place, one that does when it is called."""

    def get_torch() -> Any:
        return importlib.import_module("torch")

    wrapper = types.ModuleType("feast.torch_wrapper")
    wrapper.get_torch = get_torch  # type: ignore[attr-defined]
    sys.modules.setdefault(wrapper.__name__, wrapper)
