"""Many rows in one read, of which a few that cannot be read take nothing from the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from feature_repo.torn import TORN, TornError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

Found = dict[str, tuple["Array", float]]
"""By name, values (X,) and the seconds of the row's time; 0 where there is none."""
Read = Callable[[Sequence[str]], tuple["Array", Sequence[float]]]
"""Values (n, X) and seconds of some names; raises what a store raises."""
MOST = 64
"""Rows that cannot be read, of one read: with more of them it is the store that is ill."""


def apart(names: Sequence[str], read: Read) -> tuple[Found, dict[str, str]]:
    """The rows that can be read, and why each other one cannot.

    Where a read fails, the first and the last name are read alone: a store that answers neither is away. One that
    answers has the rest read by halves, down to the rows that are at fault; those that a push tore name themselves.

    Raises:
        Exception: as `read` does, where the store is away.
    """
    try:
        return _whole(names, read)
    except Exception:
        if len(names) < 2 or not any(_reads(name, read) for name in (names[0], names[-1])):
            raise
        found: Found = {}
        faults: dict[str, str] = {}
        _halves(names, read, found, faults)
        return found, faults


def _whole(names: Sequence[str], read: Read) -> tuple[Found, dict[str, str]]:
    """In one read, but for those that are torn."""
    torn: dict[str, str] = {}
    left = list(names)
    while left:
        try:
            values_NX, seconds = read(left)
        except TornError as error:
            # Others may have been torn meanwhile; each time there are fewer.
            torn |= dict.fromkeys(error.names, TORN)
            left = [name for name in left if name not in torn]
            continue
        return dict(zip(left, zip(values_NX, seconds, strict=True), strict=True)), torn
    return {}, torn


def _reads(name: str, read: Read) -> bool:
    try:
        _whole([name], read)
    except Exception:  # its own kind, whatever the store
        return False
    return True


def _halves(names: Sequence[str], read: Read, found: Found, faults: dict[str, str]) -> None:
    """Read all that can be read; raises what the store does once more than `MOST` rows cannot."""
    try:
        some, torn = _whole(names, read)
    except Exception as error:
        if len(names) > 1:
            middle = len(names) // 2
            _halves(names[:middle], read, found, faults)
            _halves(names[middle:], read, found, faults)
            return
        faults[names[0]] = (str(error).strip() or type(error).__name__).splitlines()[0]
        if sum(why != TORN for why in faults.values()) > MOST:
            raise
        return
    found.update(some)
    faults.update(torn)
