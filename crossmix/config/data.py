"""Settings of the log: where it comes from, how it is cleaned and split (§3)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import Field

from crossmix.config.values import STRICT, Fraction, Name, NonNegative, Positive, PositiveInt

LEAST_MEMORY = 0.25
"""GiB. Below it DuckDB has no room for what one thread sorts."""

S3 = "s3://"
"""How `data.path` begins where the log lies in S3."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Demo:
    """Sizes of the generated log (source `demo`). Everything in it is labelled generated."""

    __pydantic_config__ = STRICT
    seed: int = 7
    """Seed of the generated world and of its log."""
    days: PositiveInt = 70
    """Length of the log, days."""
    campaigns: PositiveInt = 3
    """Number of campaigns."""
    users: PositiveInt = 60_000
    """Number of users with histories."""
    creatives: PositiveInt = 60
    """Number of rendered 224x224 creatives with copy, over all campaigns."""
    requests_per_day: PositiveInt = 1_300
    """Mean auction requests per campaign, platform and day."""
    response_drift: NonNegative = 0.30
    """Stationary standard deviation of the planted AR(1) log-drift of response."""
    price_drift: NonNegative = 0.20
    """Stationary standard deviation of the planted AR(1) log-drift of price."""
    drift_persistence: Fraction = 0.93
    """Day-to-day persistence of both planted drifts."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Data:
    """Where the log comes from and how it is cleaned and split (§3)."""

    __pydantic_config__ = STRICT
    source: Name = "demo"
    """Which adapter reads the log; every file of `crossmix/sources` that registers one adds its name."""
    path: str | None = None
    """The log's file or the folder or pattern (`exports/*.csv`) of its files where the source takes one; for
    `impressions` also what lies in S3, as `s3://bucket/prefix`; for `spend` also a table or a query of a database, as
    `duckdb://file.db?table=x` or `postgres://host/db?query=SELECT…`; for `creators` a CSV of creators; `None` for
    `demo` and `demo-creators`."""
    engine: Literal["duckdb", "spark"] = "duckdb"
    """What runs the ingest expressions: DuckDB on one machine, Spark on a cluster."""
    memory: Annotated[float, Field(ge=LEAST_MEMORY, allow_inf_nan=False)] | None = None
    """What DuckDB may hold in memory, GiB, before it writes to the step's work folder; the process takes somewhat more
    (docs/guides/scale.md). `None`: 60 % of what the machine, or the container (cgroup), has. Spark has settings of its
    own. What comes out, and its key, are the same with any."""
    cycle_hours: PositiveInt | None = None
    """Length of a delivery cycle, hours; `None`: the source's own (§2.5: 24; a log of two days: 1)."""
    attribution_days: Positive = 30.0
    """Attribution window: a conversion counts to its impression within so many days."""
    train_fraction: Fraction = 0.7
    """Share of the period used for training (split by time)."""
    validation_fraction: Fraction = 0.1
    """Share of the period used for validation; the rest is the test period."""
    holdout_users: Fraction = 0.4
    """Share of users held out of every fit, in every period."""
    holdout_days: Annotated[float, Field(ge=0, le=0.5)] = 0.25
    """Share of the training period's cycles held out of every fit, where the log is a spend history without users."""
    today_days: Positive = 14.0
    """Today, where the log is a spend history: the last so many days, in whole cycles and at least one. Budget and
    splits that answers start from are theirs."""
    quarantine_spend: Fraction = 0.02
    """Largest share of the log's spend that may be in rows set aside; beyond it a run stops."""
    quarantine_platform: Fraction = 0.1
    """Largest share of one platform's spend that may be in rows set aside; beyond it a run stops."""
    accept_quarantine: bool = False
    """Go on whatever share of the spend is set aside (`--accept-quarantine`)."""
    sequence_length: PositiveInt = 30
    """Behaviour sequence: the user's last so many interactions before the impression (§2.1: 30)."""
    keep_platforms: Annotated[int, Field(gt=0, le=10)] = 10
    """Platforms kept, at most the state's ten slots; a log with more keeps the ones with most spend less one, and
    `other`; of a spend history those with most spend today."""
    platform_groups: dict[Name, Name] = field(default_factory=dict)
    """Raw platform to the group that it is counted in, before `keep_platforms`; one not named keeps its own name."""
    value_per_conversion: Positive | None = None
    """What a conversion is worth, currency; for logs that do not say (`ipinyou`, `kuairand`, a `spend` history of
    leads)."""
    value_per_click: Positive | None = None
    """Instead: every click counts as a conversion worth this, currency; for logs without values or conversions."""
    cost_model: str | None = None
    """Price paid per impression where the log has none (`openbandit`, `kuairand`): `constant:PRICE`, or
    `lognormal:MU,SIGMA` of the price's logarithm; currency."""
    conversion_column: Literal["long_view", "is_like", "is_follow", "is_comment", "is_forward"] | None = None
    """Which signal of a `kuairand` log is the conversion; `None`: `long_view`."""
    criteo_channel: Literal["campaign", "cat8"] | None = None
    """Which column of a `criteo` log is the platform; `None`: `campaign`. `cat8` is a context column that nobody chose;
    work on user journeys takes it for the channel, as a user meets one campaign alone."""
    columns: dict[Name, Name] = field(default_factory=dict)
    """Of a `spend` history: which column is which, as `{"spend": "Kosten", "date": "Tag"}` (`--map`); one not named is
    found by its name."""
    dates: Literal["day-first", "month-first"] | None = None
    """Of a `spend` history: what 03/04/2025 begins with, where no date of the file tells; `None`: found or asked."""
    decimal: Literal["point", "comma"] | None = None
    """Of a `spend` history: the decimal separator, where no number of the file tells; `None`: found or asked."""
    repeated: Literal["add", "newest"] | None = None
    """Of a `spend` history: what rows of one date, platform and campaign are where nothing tells: parts that are added
    up, or the same day told again, of which the later counts; `None`: found or asked."""
    timezone: str | None = None
    """Of a `spend` history by hour: the account's time zone (IANA, as Europe/Berlin), in whose days times that tell
    their zone (`2026-01-05T22:00:00Z`) are counted (`--timezone`); `None`: days are those that are written."""
    idle_days: bool = False
    """Of a `spend` history: days without any row are days on which nothing was spent (`--idle-days`)."""
    campaigns: Literal["apart", "together"] = "apart"
    """Of a `spend` history: whether each campaign's budget is split by itself, or all campaigns are read as one
    account, whose whole budget is split: a day's rows of a platform are added up."""
    campaign_groups: dict[Name, Name] = field(default_factory=dict)
    """Of a `spend` history: campaign to the group that it is read in, as one campaign; one not named is by itself, or
    where `data.campaigns=together` in one group with all others that are not named."""
    accept: tuple[Name, ...] = ()
    """Of a `spend` history: doubts that are none, by the kind that the refusal names (`--accept`)."""
    settings: dict[Name, Any] = field(default_factory=dict)
    """Settings that only this source has (`Source.settings`), by key; most have none."""
    demo: Demo = field(default_factory=Demo)
    """Sizes of the generated log; other sources read nothing of it."""


OF_HISTORIES = (
    "columns",
    "dates",
    "decimal",
    "repeated",
    "timezone",
    "idle_days",
    "campaigns",
    "campaign_groups",
    "accept",
)
"""Keys of `Data` that say how a spend history is read; other sources refuse them."""
SOURCE_TASKS = ("split", "journeys")
"""Tasks that a source's log serves where its file does not say (`Source.tasks`)."""
ASKABLE = ("value_per_conversion", "value_per_click", "cost_model", "conversion_column", "criteo_channel")
"""Keys of `Data` that tell what a log does not say; a source that asks for it names it (`Source.asks`)."""
