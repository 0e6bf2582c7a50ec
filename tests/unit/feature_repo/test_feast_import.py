"""Feast is imported without typeguard's compilations, and leaves typeguard and the warnings as they were."""

from __future__ import annotations

import subprocess
import sys

import pytest

REPORT = """
import warnings, typeguard
checked, filters = typeguard.typechecked, list(warnings.filters)
from feature_repo.feast_import import import_feast
import_feast()
found = [typeguard.typechecked is checked, warnings.filters == filters]
from feast import FeatureView
found.append("typeguard" in FeatureView.__init__.__code__.co_names)
import_feast()
print(*found)
"""


@pytest.mark.slow
def test_typeguard_and_the_filters_of_warnings_are_as_before() -> None:
    done = subprocess.run([sys.executable, "-c", REPORT], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["True", "True", "False"]
