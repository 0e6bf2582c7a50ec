"""What a bundle may carry for its monitor: sealed where it is there, missed by nobody where it is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from crossmix import bundle
from tests.support import watching


def test_it_is_carried_verified_and_part_of_the_digest(tmp_path: Path) -> None:
    made = watching.make_bundle(tmp_path / "one")
    plain = watching.make_bundle(tmp_path / "plain", watch=False)
    assert bundle.watch_of(made.path) == (watching.expectation().as_bytes(), made.digest)
    assert bundle.watch_of(plain.path) == (None, plain.digest)
    assert made.digest != plain.digest
    assert bundle.platforms_of(made.path) == ("p0", "p1", "p2")
    assert bundle.manifest_of(made.path)["digest"] == made.digest
    file = made.path / "watch.npz"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    for read in (bundle.watch_of, bundle.load):
        with pytest.raises(bundle.BundleError, match=r"watch\.npz: SHA-256 .* is not the manifest's"):
            read(made.path)
    file.unlink()
    with pytest.raises(bundle.BundleError, match=r"watch\.npz: missing"):
        bundle.load(made.path)
