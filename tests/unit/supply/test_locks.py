"""Reading a lock, and what one lacks."""

from __future__ import annotations

from pathlib import Path

import pytest
from packaging.requirements import Requirement

from supply.locks import Locked, LockError, missing, parse, read

PIN = f"numpy==2.4.6 \\\n    --hash=sha256:{'0' * 64} \\\n    --hash=sha256:{'1' * 64}\n"


def test_a_lock_has_versions_and_hashes() -> None:
    found = parse(f"# made by\n{PIN}torch==2.13.0+cpu --hash=sha256:{'2' * 64}\n")
    assert found == {"numpy": Locked("2.4.6", ("0" * 64, "1" * 64)), "torch": Locked("2.13.0+cpu", ("2" * 64,))}


@pytest.mark.parametrize(
    "text",
    [
        "numpy==2.4.6\n",
        "numpy>=2 --hash=sha256:" + "0" * 64,
        "--index-url https://index.example/simple\n",
        "numpy==2.4.6 --hash=md5:" + "0" * 32,
        "numpy==2.4.6 --hash=sha256:" + "0" * 63,
        "numpy @ https://files.example/numpy.whl --hash=sha256:" + "0" * 64,
        PIN + PIN,
    ],
    ids=["no hash", "no pin", "an index", "md5", "a short hash", "an address", "twice"],
)
def test_what_is_no_lock_is_refused(text: str) -> None:
    with pytest.raises(LockError, match="make the lock anew with `make lock`"):
        parse(text)


def test_a_lock_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(LockError, match=r"locks/steps\.txt: missing"):
        read("steps", tmp_path)


def test_what_a_lock_lacks_is_told_with_who_asks() -> None:
    held = {"pytest-timeout": Locked("2.4.0"), "pytest": Locked("6.0.0")}
    # pytest-timeout, installed here, asks for pytest>=7.
    assert missing(held, [Requirement("pytest-timeout")]) == ["pytest>=7.0.0 (asked for by pytest-timeout)"]
    assert missing({}, [Requirement("pytest-timeout>=2")]) == ["pytest-timeout>=2 (asked for by pyproject.toml)"]
