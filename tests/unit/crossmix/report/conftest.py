"""The made-up run's evaluation, for the tests of the sections."""

from __future__ import annotations

import pytest

from crossmix.artifacts import Evaluation
from tests.support.report_steps import demo


@pytest.fixture(scope="session")
def evaluation(tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    return Evaluation.load(demo(tmp_path_factory.mktemp("steps"), ("a", "b"))["gate"])
