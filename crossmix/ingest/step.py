"""Ingest: clean, impute, split (§3). Written once in Ibis: DuckDB on one machine, Spark on a cluster.

Contract: docs/design.md#data-contract.

Order of things: conform to the contract, drop exact duplicates, quarantine what breaks a rule (`sources.rules`),
impute, apply the attribution window, cut cycles, group platforms, split by time and hold users out, then build each
impression's behaviour sequence from what was known strictly before it.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from crossmix.config import Config
from crossmix.ingest.engine import connect, within_memory
from crossmix.ingest.impressions import ingest_raw
from crossmix.schema import Meta
from crossmix.sources import read


def ingest(config: Config, out: Path) -> Meta:
    """Read the configured source and write a `Dataset` folder into `out` (exists, empty).

    Raises:
        DataError: the input cannot be used; the message names field, value and remedy.
    """
    with within_memory(), tempfile.TemporaryDirectory(prefix="ingest-", dir=out) as folder:
        workdir = Path(folder)
        backend = connect(config.data.engine, workdir, config.data.memory)
        raw = read(config.data, backend, workdir)
        return ingest_raw(raw, config.data, out)
