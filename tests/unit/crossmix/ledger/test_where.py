"""Where the ledger is."""

from __future__ import annotations

import pytest

from crossmix.config import Serving
from crossmix.ledger.where import VARIABLE, database_of


def test_the_config_then_the_environment_in_the_form_of_the_driver_that_is_here(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert database_of(Serving()) is None
    monkeypatch.setenv(VARIABLE, "postgresql://ann@db/ledger")
    assert database_of(Serving()) == "postgresql+psycopg://ann@db/ledger"
    assert database_of(Serving(database="postgres://bob@db/other")) == "postgresql+psycopg://bob@db/other"
    for url in ("sqlite:////data/serving.db", "postgresql+psycopg://ann@db/ledger"):
        assert database_of(Serving(database=url)) == url
    monkeypatch.setenv(VARIABLE, "")
    assert database_of(Serving()) is None
