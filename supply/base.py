"""The base image's digest, asked of its registry; nothing is written that a registry did not say."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
ASKED: Sequence[Sequence[str]] = (
    ("skopeo", "inspect", "--format", "{{.Digest}}", "docker://{image}"),
    ("crane", "digest", "{image}"),
    ("docker", "buildx", "imagetools", "inspect", "--format", "{{.Manifest.Digest}}", "{image}"),
)
"""Programs that ask a registry without a running engine, the first one found."""
SECONDS = 60


def digest(image: str) -> str | None:
    """The digest that the registry tells of `image` (name:tag); `None` where none answers."""
    for program, *rest in ASKED:
        if shutil.which(program) is None:
            continue
        command = [program, *(part.replace("{image}", image) for part in rest)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
        except subprocess.TimeoutExpired:
            continue
        if done.returncode == 0 and DIGEST.fullmatch(done.stdout.strip()):
            return done.stdout.strip()
    return None


def resolved(image: str, folder: Path) -> str:
    """Write `base.txt` (name@digest) into `folder` if a registry answers; a sentence that says what came of it."""
    name = re.sub(r":[^:/@]+$", "", image)
    file, told = folder / "base.txt", digest(image)
    if told is None:
        kept = f"kept as it was ({file.read_text().strip()})" if file.exists() else "not written"
        return f"locks/base.txt: {kept}; no image registry answered for {image}, so its digest is not known"
    file.write_text(f"{name}@{told}\n")
    return f"locks/base.txt: {name}@{told}, as {image} is now"
