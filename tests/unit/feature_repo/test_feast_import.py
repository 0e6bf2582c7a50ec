"""Feast is imported without torch and typeguard's compilations, and leaves both as they were."""

from __future__ import annotations

import subprocess
import sys

import pytest

REPORT = """
import sys, warnings, typeguard
{before}
checked, filters = typeguard.typechecked, list(warnings.filters)
from feature_repo.feast_import import import_feast
import_feast()
found = ["torch" in sys.modules, typeguard.typechecked is checked, warnings.filters == filters]
from feast import FeatureView
found.append("typeguard" in FeatureView.__init__.__code__.co_names)
import torch
import_feast()
print(*found, int(torch.ones(2).sum()))
"""


@pytest.mark.slow
@pytest.mark.parametrize(("before", "loaded"), [("", "False"), ("import torch", "True")])
def test_torch_typeguard_and_the_filters_of_warnings_are_as_before(before: str, loaded: str) -> None:
    code = REPORT.format(before=before)
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == [loaded, "True", "True", "False", "2"]
