"""Source `demo`: our own generated log, labelled generated wherever it is shown.

Ten platforms, weekday seasonality, drift, budgets and caps, users with histories, conversion delays, rendered creatives
with copy, and a little planted dirt. `world` returns everything that it plants; `generate` the tables.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from crossmix.config import Data, Demo
from crossmix.schema import CREATIVES, IMPRESSIONS, PLANS, Provenance
from crossmix.sources import SOURCES, Backend, Raw, Source, verify_file
from crossmix.sources.demo_log import Log, play
from crossmix.sources.demo_world import CURRENCY, World, world
from crossmix.sources.tables import arrow_schema

__all__ = ["Log", "World", "generate", "read", "world"]


def generate(demo: Demo) -> Log:
    """The generated tables; the same for the same config."""
    return play(world(demo))


def read(data: Data, backend: Backend, workdir: Path) -> Raw:
    """Generate the log, write it under `workdir` as Parquet, and hand it over as a source does."""
    log = generate(data.demo)
    digest = hashlib.sha256()
    tables = {}
    for name, columns in (("impressions", IMPRESSIONS), ("creatives", CREATIVES), ("plans", PLANS)):
        path = workdir / f"demo_{name}.parquet"
        frame = getattr(log, name)
        own = [column for column in columns if column.name in frame]  # ingest fills what may be null
        pq.write_table(pa.Table.from_pandas(frame, schema=arrow_schema(own), preserve_index=False), path)
        digest.update(bytes.fromhex(verify_file(path)))
        tables[name] = backend.read_parquet(str(path))
    generated = {column.name: Provenance.GENERATED.value for column in IMPRESSIONS}
    generated["propensity"] = Provenance.MISSING.value
    generated |= {f"creatives.{column.name}": Provenance.GENERATED.value for column in CREATIVES}
    generated |= {f"plans.{column.name}": Provenance.GENERATED.value for column in PLANS}
    return Raw(
        **tables,
        generated=True,
        currency=CURRENCY,
        cycle_hours=24,
        digest=digest.hexdigest(),
        provenance=generated,
        notes=(
            "The whole log is generated: a planted market of ten platforms, not anybody's real campaign.",
            "A few defects are planted in it, so that the cleaning has something to show: duplicates, conflicting ids, "
            "negative prices, conversions before their impression, missing regions, unknown creatives and platforms.",
        ),
    )


SOURCES.register(
    Source(
        name="demo",
        label="generated: our own world",
        read=read,
        generated=True,
    )
)
