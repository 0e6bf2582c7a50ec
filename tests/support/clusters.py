"""A place to run in, with digests of no image."""

from __future__ import annotations

from pathlib import Path

EXAMPLE = Path(__file__).resolve().parents[2] / "k8s" / "cluster.toml"
DIGESTS = {name: f"{number:064x}" for number, name in enumerate(("steps", "train", "serve"), start=1)}


def cluster_file(folder: Path, *changes: tuple[str, str]) -> Path:
    """A copy of the example with digests.

    Args:
        folder: where it goes.
        changes: pairs (what stands there, what is to stand there); what is not there is an error.
    """
    text = EXAMPLE.read_text()
    for name, digest in DIGESTS.items():
        text = text.replace(f"crossmix-{name}@sha256:DIGEST", f"crossmix-{name}@sha256:{digest}")
    for before, after in changes:
        assert before in text, before
        text = text.replace(before, after, 1)
    path = folder / "cluster.toml"
    path.write_text(text)
    return path
