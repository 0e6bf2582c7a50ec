"""Make the lock files: `python -m supply.lock [--find-links DIR]`.

uv resolves pyproject.toml under constraints.txt for the images' platform; of what it tells, names, versions and hashes
are kept, addresses are not.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from supply import base
from supply.locks import CPU_TORCH, FOLDER, PLATFORM, PYTHON, ROOT, TARGETS, LockError, Target

BUILD = "setuptools"
"""What builds a wheel: ours, and those of packages that come as sources only."""
HEAD = """\
# {what}: CPython 3.11 on Linux x86_64. Made by `make lock`; not to be written by hand.
# pip install --require-hashes -r locks/{name}.txt
"""


def resolve(arguments: Sequence[str], uv: str, override: str | None, find_links: str | None) -> str:
    """What uv's resolver says, as the text of a pylock file.

    Args:
        arguments: the requirements, as `uv pip compile` takes them.
        override: a requirement that takes the place of the project's own.
        find_links: folder or page where files lie that no index has.

    Raises:
        LockError: it found no answer, or did not reach its index.
    """
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "pylock.lock.toml"
        command = [uv, "pip", "compile", *arguments, "--no-config", "--python-version", PYTHON]
        command += ["--python-platform", PLATFORM, "-c", str(ROOT / "constraints.txt")]
        command += ["--format", "pylock.toml", "--quiet", "-o", str(out)]
        if override is not None:
            (Path(folder) / "override.txt").write_text(f"{override}\n")
            command += ["--override", str(Path(folder) / "override.txt")]
        if find_links is not None:
            command += ["--find-links", find_links]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
        if done.returncode:
            raise LockError(f"uv found no answer:\n{done.stderr.strip()}")
        return out.read_text()


def lines(pylock: str) -> list[str]:
    """A pylock file's packages as lines of a requirements file: wheels' hashes, the sources' where there is no wheel.

    Raises:
        LockError: a package without a file that has a hash.
    """
    made = []
    for package in tomllib.loads(pylock)["packages"]:
        files = package.get("wheels") or [package.get("sdist") or package.get("archive") or {}]
        digests = sorted(_digests(files))
        if not digests:
            raise LockError(f"{package['name']} {package['version']}: no file with a SHA-256; pin another version")
        made.append(
            " \\\n".join([f"{package['name']}=={package['version']}", *(f"    --hash=sha256:{d}" for d in digests)])
        )
    return sorted(made)


def _digests(files: Sequence[dict[str, Any]]) -> set[str]:
    return {file["hashes"]["sha256"] for file in files if "sha256" in file.get("hashes", {})}


def lock(name: str, target: Target, uv: str, find_links: str | None) -> str:
    """The text of a target's lock.

    Raises:
        LockError: uv found no answer; a CPU target without a place that has torch's CPU build.
    """
    extras = [part for extra in target.extras for part in ("--extra", extra)]
    torch = "steps" in target.extras and not target.cuda
    if torch and find_links is None:
        raise LockError(
            f"locks/{name}.txt: torch {CPU_TORCH} lies in no index; say which folder or page has its wheel: "
            "make lock WHEELS=..."
        )
    told = resolve(
        ["pyproject.toml", *extras], uv, f"torch=={CPU_TORCH}" if torch else None, find_links if torch else None
    )
    return "\n".join([HEAD.format(what=f"The image crossmix-{name}", name=name) + lines(told)[0], *lines(told)[1:], ""])


def build(uv: str) -> str:
    """The text of locks/build.txt."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "build.in"
        file.write_text(f"{BUILD}\n")
        told = resolve([str(file)], uv, None, None)
    return "\n".join([HEAD.format(what="What builds wheels", name="build") + lines(told)[0], *lines(told)[1:], ""])


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m supply.lock", description="Make the images' lock files.")
    parser.add_argument("--uv", default=shutil.which("uv") or "uv", help="the resolver")
    parser.add_argument(
        "--find-links", default=None, help="folder or page with torch's CPU wheel (else PIP_FIND_LINKS)"
    )
    parser.add_argument("--base", default=None, help="the base image's name and tag, to be resolved to its digest")
    given = parser.parse_args(arguments)
    find_links = given.find_links or os.environ.get("PIP_FIND_LINKS") or None
    FOLDER.mkdir(exist_ok=True)
    try:
        # All are made before one is written: half of new locks would be none.
        texts = {"build": build(given.uv)}
        texts |= {name: lock(name, target, given.uv, find_links) for name, target in TARGETS.items()}
    except LockError as error:
        print(f"make lock: {error}", file=sys.stderr)
        return 2
    for name, text in texts.items():
        (FOLDER / f"{name}.txt").write_text(text)
        print(f"locks/{name}.txt: {text.count('==')} packages")
    if given.base:
        print(base.resolved(given.base, FOLDER))
    return 0


if __name__ == "__main__":
    sys.exit(main())
