"""Feast, imported in half of its time: a server starts, and a step begins, three processor seconds sooner.

Every class and function that Feast marks with typeguard's `typechecked` is parsed and compiled anew as it is defined,
for checks of argument types that nothing here relies on. They are held back while Feast is imported, and only then. So
is torch, which Feast loads wherever it is installed, for tensors that nobody here asks it for: a server needs none.
"""

from __future__ import annotations

import os
import sys
import threading
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
        with warnings.catch_warnings(), _without_type_checks(), _without_torch():
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


@contextmanager
def _without_torch() -> Iterator[None]:
    """`import torch` fails as where it is not installed, unless it is loaded already."""
    if "torch" in sys.modules:
        yield
        return
    sys.modules["torch"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules["torch"]
