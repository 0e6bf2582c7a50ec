"""Which licences an image may hold."""

from __future__ import annotations

import pytest

from supply import licences
from supply.locks import TARGETS, read


@pytest.mark.parametrize(
    ("name", "accepted"),
    [
        ("MIT", True),
        ("Apache-2.0 AND MIT", True),
        ("LGPL-3.0-only", True),
        ("GNU Lesser General Public License v3 (LGPLv3)", True),
        ("MPL-2.0", True),
        ("GPL-2.0-or-later", False),
        ("GNU Affero General Public License v3", False),
        ("AGPL-3.0-only", False),
        ("SSPL-1.0", False),
        ("BUSL-1.1", False),
        ("CC-BY-NC-4.0", False),
        ("Other/Proprietary License", False),
        (licences.CUDA_LICENCE, False),
        ("unknown", False),
    ],
)
def test_a_licence_is_accepted_or_not(name: str, accepted: bool) -> None:
    assert licences.accepted("jinja2", name) is accepted


def test_what_packages_say() -> None:
    assert licences.of("jinja2") == "BSD License"
    assert licences.of("psycopg") == "LGPL-3.0-only"
    assert licences.of("no-such-package") == "unknown"
    assert licences.of("nvidia-nccl-cu13") == licences.CUDA_LICENCE


@pytest.mark.parametrize("target", TARGETS)
def test_every_locked_package_has_a_licence_that_is_accepted(target: str) -> None:
    assert [one for one in licences.all_of(read(target)) if not one.accepted] == []


def test_cudas_own_terms_bind_the_train_image_alone() -> None:
    held = {name: [one for one in licences.all_of(read(name)) if one.name == licences.CUDA_LICENCE] for name in TARGETS}
    assert [name for name, found in held.items() if found] == ["train"]
