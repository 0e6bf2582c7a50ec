"""A raw log of any size in the contract's columns, made by DuckDB: one pure function of its number of rows.

4 weeks; one user for every 20 rows, half of the rows those of a quarter of them; 20 campaigns of 10 creatives each,
10 platforms, 16 regions; prices of 6 digits after the point; 2 % clicks, a tenth of them converted, in the mean 2 days
later. Of 1,000 rows one is a copy of another, as a source that delivers at least once has them.
"""

from __future__ import annotations

from pathlib import Path

DAYS, CAMPAIGNS, PLATFORMS, CREATIVES, REGIONS = 28, 20, 10, 10, 16
ROWS_PER_USER = 20
COPIES = 1_000
"""One of so many rows is there twice."""


def write(rows: int, folder: Path) -> int:
    """`impressions.parquet` and `creatives.parquet` (copy, no images) into `folder`; bytes of the first."""
    import duckdb

    folder.mkdir(parents=True, exist_ok=True)
    connection = duckdb.connect(config={"temp_directory": str(folder / "spill"), "memory_limit": "2GB"})
    log = folder / "impressions.parquet"
    connection.execute(f"COPY ({_impressions(rows)}) TO '{log}' (FORMAT parquet)")
    connection.execute(
        f"""COPY (
            SELECT printf('creative %03d', i) AS creative_id, NULL::BLOB AS image,
                printf('Copy of creative %d', i) AS copy, 'shoes' AS category
            FROM range({CAMPAIGNS * CREATIVES}) t(i)
        ) TO '{folder / "creatives.parquet"}' (FORMAT parquet)"""
    )
    connection.close()
    return log.stat().st_size


def _impressions(rows: int) -> str:
    """The log in the order of its timestamps, as a query."""
    span = DAYS * 86_400 * 1_000_000
    made = rows - rows // COPIES
    return f"""
        WITH numbered AS (
            SELECT i % {made} AS i FROM range({rows}) t(i)
        ), drawn AS (
            SELECT i,
                TIMESTAMP '2026-03-01' + to_microseconds(((i + {_uniform(0)}) / {made} * {span})::BIGINT) AS timestamp,
                floor({max(made // ROWS_PER_USER, 1)} * {_uniform(1)} * {_uniform(1)})::BIGINT AS person,
                floor({CAMPAIGNS} * {_uniform(2)})::BIGINT AS campaign,
                floor({PLATFORMS} * pow({_uniform(3)}, 1.5))::BIGINT AS platform,
                {_uniform(4)} < 0.02 AS clicked,
                {_uniform(5)} < 0.1 AS sells,
                0.002 + 0.008 * {_uniform(6)} AS bid
            FROM numbered
        )
        SELECT printf('%016x', hash(i)) AS impression_id,
            timestamp,
            printf('user %08d', person) AS user_id,
            printf('campaign %02d', campaign) AS campaign_id,
            printf('creative %03d', campaign * {CREATIVES} + floor({CREATIVES} * {_uniform(7)})::BIGINT) AS creative_id,
            printf('platform %d', platform) AS platform,
            printf('region %02d', floor({REGIONS} * {_uniform(8)})::BIGINT) AS region,
            round(bid, 6) AS bid_price,
            round(bid * (0.4 + 0.5 * {_uniform(9)}), 6) AS price_paid,
            clicked,
            clicked AND sells AS converted,
            CASE WHEN clicked AND sells THEN round(10 + 40 * {_uniform(10)}, 2) ELSE 0 END AS revenue,
            CASE WHEN clicked AND sells THEN
                timestamp + to_microseconds((-ln(1 - {_uniform(11)}) * 2 * 86400 * 1000000)::BIGINT)
            END AS conversion_timestamp
        FROM drawn"""


def _uniform(stream: int) -> str:
    """A number in [0, 1) for row `i`, the same in every run."""
    return f"((hash(i * 64 + {stream}) >> 11) / 9007199254740992.0)"
