"""The data contract: every table, its columns, types, units and provenance (one place, nobody else repeats them).

A source yields these tables raw; `ingest` cleans them and writes `Dataset` folders; everything later reads a `Dataset`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from crossmix.artifacts import Artifact, Part
from crossmix.artifacts.joined import Alone, Joined
from crossmix.row_groups import batches

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd
    import pyarrow as pa


class Provenance(StrEnum):
    """Where a column's values come from."""

    REAL = "real"
    GENERATED = "generated"
    IMPUTED = "imputed"
    APPROXIMATED = "approximated"
    MISSING = "missing"


class DataError(ValueError):
    """Input that cannot be used; the message names field, value and remedy."""


ALL_CAMPAIGNS = "all campaigns"
"""The campaign of a history that names none, or whose campaigns are read as one."""
OTHER_CAMPAIGNS = "other campaigns"
"""What campaigns that are read as one are called beside groups that have names."""


def campaign_called(name: str) -> str:
    """A campaign within a sentence: `campaign brand`, and of a history that names none `all campaigns`."""
    return name if name in (ALL_CAMPAIGNS, OTHER_CAMPAIGNS) else f"campaign {name}"


@dataclass(frozen=True, slots=True)
class Column:
    """One column; `kind` is an Ibis type. A row outside [low, high], or null where not nullable, is quarantined."""

    name: str
    kind: Literal["string", "timestamp", "float64", "boolean", "int64", "binary", "array<int64>", "date"]
    unit: str
    nullable: bool = False
    low: float | None = None
    high: float | None = None
    doc: str = ""


IMPRESSIONS: tuple[Column, ...] = (
    Column("impression_id", "string", "id", doc="unique"),
    Column("timestamp", "timestamp", "UTC, microseconds"),
    Column("user_id", "string", "id"),
    Column("campaign_id", "string", "id"),
    Column("creative_id", "string", "id", nullable=True),
    Column("platform", "string", "name"),
    Column("region", "string", "name", nullable=True),
    Column("bid_price", "float64", "currency per impression", nullable=True, low=0, doc="null: the log has no bids"),
    Column("price_paid", "float64", "currency per impression", low=0, doc="second price"),
    Column("clicked", "boolean", ""),
    Column("converted", "boolean", "", doc="within the attribution window"),
    Column("revenue", "float64", "currency", low=0, doc="0 where not converted"),
    Column("conversion_timestamp", "timestamp", "UTC, microseconds", nullable=True),
    Column(
        "propensity",
        "float64",
        "probability",
        nullable=True,
        doc="of this platform under the policy that took it, given that an ad was shown; in (0, 1], which task "
        "journeys checks; null: not logged",
    ),
)

CREATIVES: tuple[Column, ...] = (
    Column("creative_id", "string", "id"),
    Column("image", "binary", "PNG, 224x224 RGB", nullable=True),
    Column("copy", "string", "text of at most 128 tokens", nullable=True),
    Column("category", "string", "name", nullable=True),
)

# A spend history has these daily totals in place of impressions.
OUTCOMES: tuple[Column, ...] = (
    Column("campaign_id", "string", "id"),
    Column("platform", "string", "name"),
    Column("date", "date", "UTC day"),
    Column("spend", "float64", "currency", low=0),
    Column("impressions", "float64", "impressions", low=0),
    Column("clicks", "float64", "clicks", low=0),
    Column("conversions", "float64", "conversions", low=0, doc="fractions occur where credit is shared"),
    Column("revenue", "float64", "currency", low=0, doc="0 where nothing converted"),
)

# As an advertiser tells them, before `ingest`: refunds and credits are below 0, what is blank is settled by its row and
# platform (docs/design.md#data-contract).
BOOKED: tuple[Column, ...] = (
    Column("campaign_id", "string", "id"),
    Column("platform", "string", "name"),
    Column("date", "date", "UTC day"),
    Column("spend", "float64", "currency"),
    Column("impressions", "float64", "impressions", nullable=True, low=0, doc="blank: none, or not told"),
    Column("clicks", "float64", "clicks", nullable=True, low=0, doc="blank: none, or not told"),
    Column("conversions", "float64", "conversions", nullable=True, doc="blank: 0"),
    Column("revenue", "float64", "currency", nullable=True, doc="blank: 0"),
)

PLANS: tuple[Column, ...] = (
    Column("campaign_id", "string", "id"),
    Column("platform", "string", "name"),
    Column("date", "date", "UTC day"),
    Column("planned_budget", "float64", "currency per day", low=0),
    Column("min", "float64", "share of the cycle budget", nullable=True, low=0, high=1),
    Column("max", "float64", "share of the cycle budget", nullable=True, low=0, high=1),
)

QUARANTINE: tuple[Column, ...] = (
    Column("table", "string", "name"),
    Column("row", "string", "the rejected row as JSON"),
    Column("reason", "string", "field, value and rule"),
    Column("code", "string", "short reason, counted in summary.json"),
)

# What ingest adds to the cleaned impressions.
DERIVED: tuple[Column, ...] = (
    Column("cycle", "int64", "cycles since the start of the log", low=0),
    Column("split", "string", "train, validation or test"),
    Column("holdout", "boolean", "", doc="the user (in a spend history: the cycle) is held out of every fit"),
)

SPLITS = ("train", "validation", "test")

ROWS = 65_536
"""Rows of a table that are read at a time."""

# A behaviour id tells what happened (0 impression, 1 click, 2 conversion) on which platform slot; 0 is padding.
EVENTS = ("impression", "click", "conversion")


def behaviour_id(platform_slot: int, event: int) -> int:
    """Token of one interaction: 1 + 3 x platform slot + event."""
    return 1 + len(EVENTS) * platform_slot + event


def behaviour_vocabulary(platforms: int) -> int:
    """Number of behaviour ids, padding included."""
    return 1 + len(EVENTS) * platforms


@dataclass(frozen=True, slots=True)
class Held(Part):
    """Money of a spend history without a delivery or results that are told: it stays as it is, outside every split.

    Nothing can be said of what more or less of it would earn, so no market is fitted on it and no budget includes it.
    """

    platform: str
    missing: Literal["impressions", "clicks", "conversions", "revenue", "results", "fees"]
    """What is not told: its impressions, its clicks; its conversions, its revenue or both, in any row; `fees`: the
    platform delivers, and this money came beside."""
    spend: float
    """Over the whole history, currency."""
    share: float
    """Of all the history's money."""
    today: float
    """Per cycle of the last window (`Meta.today_cycles`), currency."""
    conversions: float = 0.0
    """Booked on it, over the whole history."""
    revenue: float = 0.0
    """Booked on it, over the whole history, currency."""

    @property
    def sentence(self) -> str:
        """For a person: report, terminal and answers say the same."""
        named = {"fees": "beside its delivery (fees)", "results": "without conversions and revenue"}
        what = named.get(self.missing, f"without {self.missing}")
        blank = self.missing in {"conversions", "revenue", "results"}
        remedy = " (blank in every row is unknown; write 0 where there were none)" if blank else ""
        booked = f"{self.conversions:,.6g} conversions and {self.revenue:,.6g} of revenue booked on it"
        return (
            f"{self.platform}: {self.spend:,.0f} of spend {what}{remedy}, {self.share:.1%} of the money"
            f"{f', {booked}' if self.conversions or self.revenue else ''}; held as it is, {self.today:,.2f} a cycle "
            "beside every split: what more or less of it would earn is unknown"
        )


def together(budget: float, held: Sequence[Held], currency: str) -> str:
    """What a cycle costs with the money that is held, a sentence."""
    beside = sum(one.today for one in held)
    return f"{budget:,.2f} {currency} are split and {beside:,.2f} held: {budget + beside:,.2f} a cycle in all"


@dataclass(frozen=True, slots=True)
class Stopped(Part):
    """A platform of a spend history on which nothing is spent today."""

    platform: str
    last: str
    """ISO 8601 date: the start of the last cycle with spend."""
    cycles: int
    """Since then, without spend."""

    @property
    def sentence(self) -> str:
        """For a person; it asks whether the platform may come back."""
        return (
            f"{self.platform}: nothing spent since {self.last} ({self.cycles:,} cycles), so today it has 0 %. May it "
            f"come back? An answer may say so; if not, --set 'limits.freeze=[\"{self.platform}\"]' keeps it at 0"
        )


@dataclass(frozen=True, slots=True)
class Ended(Part):
    """A campaign of a spend history that is over while others go on."""

    campaign: str
    last: str
    """ISO 8601 date: the start of the last cycle with spend."""
    cycles: int
    """Since then, without spend."""

    @property
    def sentence(self) -> str:
        """For a person."""
        return (
            f"{self.campaign}: the campaign ended on {self.last} ({self.cycles:,} cycles ago), so its budget today is "
            "0 and nothing is split or proved of it, unless it is asked about by its name (--campaign)"
        )


@dataclass(frozen=True, slots=True)
class Grouped(Part):
    """Platforms of a spend history that are split as one."""

    group: str
    platforms: tuple[str, ...]
    """By spend today."""
    today: float
    """Part of the last window's money that was spent on them."""
    share: float
    """Of all the history's money."""

    @property
    def sentence(self) -> str:
        """For a person."""
        return (
            f"{self.group} = {', '.join(self.platforms)}: split as one, with {self.today:.1%} of today's money "
            f"({self.share:.1%} of all)"
        )


@dataclass(frozen=True, slots=True)
class Meta(Artifact):
    """What a `Dataset` folder says of itself (meta.json)."""

    FILE: ClassVar[str] = "meta.json"

    source: str
    generated: bool
    """Whether the log comes from our own generator; shown wherever its figures are."""
    currency: str
    platforms: tuple[str, ...]
    """Ordered by spend in the training period, `other` last."""
    campaigns: tuple[str, ...]
    start: str
    """ISO 8601, UTC: the start of cycle 0."""
    cycle_hours: int
    cycles: int
    """Number of cycles in the log."""
    first_cycle: dict[str, int]
    """First cycle of each split."""
    modalities: tuple[str, ...]
    """Which of image, text, behaviour the log has."""
    provenance: dict[str, str]
    """Column to provenance."""
    weekday_pattern: bool
    """Whether the log is long enough to show one (two weeks or more of real dates)."""
    digest: str
    """SHA-256 of the raw input and of the data config."""
    notes: tuple[str, ...] = ()
    """Sentences for the report: what is approximated or missing, and how."""
    rows: dict[str, Any] = field(default_factory=dict)
    """`ingested`: int; `quarantined`: {code: count}; `duplicates`, ..."""
    aggregate: bool = False
    """A spend history: a table `outcomes` of totals stands in place of impressions and sequences."""
    today_cycles: int = 0
    """Cycles that tell today's budget and splits, the log's last; 0: all of the training period does."""
    held: tuple[Held, ...] = ()
    """Money without delivery or results; those platforms are not among `platforms`, but for fees."""
    stopped: tuple[Stopped, ...] = ()
    """Platforms without spend in the last `today_cycles`."""
    ended: tuple[Ended, ...] = ()
    """Campaigns without spend in the last `today_cycles`, where others have some."""
    grouped: tuple[Grouped, ...] = ()
    """Groups of platforms that are split as one: the config's, and `other`."""
    joined: tuple[Joined, ...] = ()
    """Campaigns of a spend history that are read as one: those of `campaigns` that are several of the log's."""
    alone: Alone | None = None
    """Campaigns of a spend history that ran on one platform each, of several."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """A folder that `ingest` wrote."""

    path: Path

    @property
    def meta(self) -> Meta:
        """What it says of itself; raises `ArtifactError` where it cannot be read."""
        return Meta.load(self.path)

    def file(self, table: str) -> Path:
        """Where a table lies: one Parquet file, or a folder of part files where a cluster wrote it."""
        return self.path / f"{table}.parquet"

    def parts(self, table: str) -> list[Path]:
        """The files of a table; one after the other, by name, they hold its rows in their order.

        Raises:
            FileNotFoundError: a folder without a part file.
        """
        file = self.file(table)
        if not file.is_dir():
            return [file]
        parts = sorted(file.glob("part-*.parquet"))
        if not parts:
            raise FileNotFoundError(f"{file}: the folder has no part-*.parquet")
        return parts

    def count(self, table: str) -> int:
        """Rows of a table, as its files say."""
        import pyarrow.parquet as pq

        return sum(int(pq.read_metadata(part).num_rows) for part in self.parts(table))

    def columns(self, table: str) -> list[str]:
        """Names of a table's columns; one that an older version wrote may lack optional ones."""
        import pyarrow.parquet as pq

        return list(pq.read_schema(self.parts(table)[0]).names)

    def frame(self, table: str, columns: list[str] | None = None) -> pd.DataFrame:
        """A table as pandas: impressions (or outcomes), creatives, plans, sequences, quarantine."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        tables = [pq.read_table(part, columns=columns) for part in self.parts(table)]
        return pa.concat_tables(tables).to_pandas()

    def batches(self, table: str, columns: list[str] | None = None, rows: int = ROWS) -> Iterator[pa.RecordBatch]:
        """A table's rows in their order, at most `rows` at a time, so that memory does not grow with the log."""
        for part in self.parts(table):
            for batch in batches(part, rows, columns):
                yield batch.select(columns) if columns else batch
