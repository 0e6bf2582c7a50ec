"""Which arm a user is in: sticky, reproducible by anybody who knows the experiment's salt, and uniform.

Contract: docs/design.md#serving.

bucket = blake2b(salt : user_id) mod 10,000; the arms take the buckets in the order in which they are given. No state:
any replica, and any analyst, gets the same answer. Which experiment's arms hold in a cycle says `crossmix.terms`. A
canary has the first of the policy's buckets: whoever is in none of those keeps the arm, whatever a canary does.
"""

from __future__ import annotations

import hashlib
import math
import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from crossmix import terms
from crossmix.ledger import experiments
from crossmix.ledger.canaries import Canary

if TYPE_CHECKING:
    from crossmix.config import Serving

BUCKETS = 10_000
_MOMENTS = ("started", "ended", "shipped")


class ExperimentError(ValueError):
    """An experiment that cannot run; the message names field, value and remedy."""


class ExperimentFieldError(ExperimentError):
    """A field of an experiment that cannot be used: `field`, and the `problem` with its remedy."""

    def __init__(self, field: str, problem: str, part: str = "") -> None:
        super().__init__(f"experiment.{field}{part and '.'}{part}: {problem}")
        self.field, self.problem = field, problem


@dataclass(frozen=True, slots=True)
class Experiment:
    """Who gets which arm.

    Raises:
        ExperimentError: weights that are no shares of whole buckets summing to 1; an empty id or salt.
    """

    id: str
    salt: str = field(repr=False)
    weights: Mapping[str, float] = field(default_factory=lambda: {"policy": 0.7, "control": 0.3})
    """Arm to its share of users."""
    started: datetime | None = None
    """UTC; `None`: before all cycles."""
    ended: datetime | None = None
    """UTC."""
    reason: str | None = None
    """Why it ended."""
    outcome: str | None = None
    """`terms.SHIPPED`, `terms.REPLACED`, or `None`."""
    shipped: datetime | None = None
    """UTC."""
    earlier: tuple[Experiment, ...] = field(default=(), repr=False)
    """Those that it followed, in the order in which they began."""
    canaries: tuple[Canary, ...] = field(default=(), repr=False)
    """Of all experiments, in the order in which they began; the newest experiment's alone has them."""

    def __post_init__(self) -> None:
        for name in ("id", "salt"):
            if not getattr(self, name):
                raise ExperimentFieldError(name, "it is empty; give some text")
        for arm, weight in self.weights.items():
            if not (math.isfinite(weight) and 0 <= weight <= 1):
                raise ExperimentFieldError("weights", f"{weight!r}; give a share from 0 to 1", arm)
            if abs(weight * BUCKETS - round(weight * BUCKETS)) > 1e-6:
                problem = f"{weight!r} is no whole number of {BUCKETS:,} buckets; round it to 0.0001"
                raise ExperimentFieldError("weights", problem, arm)
        if abs(sum(self.weights.values()) - 1) > 1e-9:
            raise ExperimentFieldError("weights", f"they sum to {sum(self.weights.values()):g}; make them sum to 1")

    @property
    def everybody(self) -> str | None:
        """The arm that every user gets since it ended; `None` while it runs."""
        return terms.everybody(self)

    def at(self, begins: datetime) -> Experiment:
        """This one, or the earlier one, to which a cycle that begins then belongs."""
        return terms.in_force((*self.earlier, self), begins)

    def part(self, arm: str, begins: datetime) -> float:
        """The arm's part of users and budget in a cycle that begins then."""
        return terms.part((*self.earlier, self), arm, begins, self.canaries)

    def canary(self, begins: datetime) -> Canary | None:
        """The one that has a cycle that begins then."""
        return terms.on_trial(self.canaries, begins)[0]

    @property
    def tried(self) -> Canary | None:
        """The canary that runs."""
        return self.canaries[-1] if self.canaries and self.canaries[-1].ended is None else None

    def bucket(self, user_id: str) -> int:
        """0 to 9,999.

        Raises:
            ExperimentError: an empty user id, which would put everybody without one in the same arm.
        """
        if not user_id:
            raise ExperimentError("user_id: it is empty; send the user's id, or name the arm")
        digest = hashlib.blake2b(f"{self.salt}:{user_id}".encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") % BUCKETS

    def arm(self, user_id: str) -> str:
        """The user's arm while it runs; whoever is in a canary is in the policy."""
        bucket, edge = self.bucket(user_id), 0
        for arm, weight in self.weights.items():
            edge += round(weight * BUCKETS)
            if bucket < edge:
                return arm
        raise AssertionError("weights sum to 1")

    def asked(self, begins: datetime | None = None) -> Experiment:
        """The experiment whose arms users get now, in a campaign's cycle that began then.

        An end counts at once; an experiment that has begun has the cycles that begin in it. `None`: no cycle.
        """
        return self if begins is None or self.ended is not None else self.at(begins)

    def arm_asked(self, user_id: str, begins: datetime | None = None) -> str:
        """The arm that the user gets now, in a campaign's cycle that began then."""
        holding = self.asked(begins)
        return self._tried(holding.everybody or holding.arm(user_id), user_id, holding, begins)

    def waiting(self, begins: datetime, ends: datetime) -> tuple[str, ...]:
        """What an answer for a cycle says in which this one has begun but which is not its own; nothing otherwise."""
        if self.ended is not None or self.started is None or not begins < self.started < ends or not self.earlier:
            return ()
        return (f"experiment {self.id} has this campaign's cycles from the next one on; this one ends as it began",)

    def arm_served(self, user_id: str, begins: datetime) -> str:
        """The arm that the user had in a cycle that began then."""
        held = self.at(begins)
        return self._tried(terms.alone(held, begins) or held.arm(user_id), user_id, held, begins)

    def _tried(self, arm: str, user_id: str, held: Experiment, begins: datetime | None) -> str:
        """The arm, or the canary where the user is in it."""
        if arm != terms.POLICY or not self.canaries or begins is None:
            return arm
        part = terms.on_trial(self.canaries, begins)[1]
        first, buckets = 0, BUCKETS
        if terms.alone(held, begins) is None:
            names = list(held.weights)
            first = sum(round(held.weights[name] * BUCKETS) for name in names[: names.index(arm)])
            buckets = round(held.weights[arm] * BUCKETS)
        return terms.CANARY if held.bucket(user_id) - first < round(part * buckets) else arm


def of_rows(rows: Sequence[experiments.Experiment], canaries: Sequence[Canary] = ()) -> Experiment:
    """The newest of the ledger's experiments, with those before; `rows`: at least one, in the order of their begin."""
    *earlier, newest = [
        Experiment(row.id, row.salt, row.weights, row.started, row.ended, row.reason, row.outcome, row.shipped)
        for row in rows
    ]
    return replace(newest, earlier=tuple(earlier), canaries=tuple(canaries))


def not_ahead(experiment: Experiment, known: Experiment | None, now: datetime) -> Experiment:
    """The same, with no moment ahead of the clock: each at the latest when this server first heard of it.

    What lies ahead was noted by a clock that ran ahead: an end holds for the cycles that begin from now on, not only
    for those after that moment.

    Args:
        known: what this held before.
    """
    if all((getattr(one, name) or now) <= now for one in (experiment, *experiment.earlier) for name in _MOMENTS):
        return experiment
    before = {one.id: one for one in (() if known is None else (*known.earlier, known))}

    def healed(one: Experiment) -> Experiment:
        moments: dict[str, Any] = {}
        for name in _MOMENTS:
            moment = getattr(one, name)
            if moment is not None and moment > now:
                heard = getattr(before.get(one.id), name, None)
                moments[name] = heard if heard is not None and heard <= now else now
        return replace(one, **moments)

    return replace(healed(experiment), earlier=tuple(healed(one) for one in experiment.earlier))


def unknown(experiment_id: str) -> Experiment:
    """What holds as long as no experiment is known: everybody gets the static split."""
    weights = {"policy": 0.0, "control": 1.0}
    why = "the database is away and no experiment is known yet"
    return Experiment(experiment_id, secrets.token_hex(16), weights, None, datetime.min.replace(tzinfo=UTC), why)


def kept(experiment: Experiment) -> list[dict[str, Any]]:
    """An experiment and those before it as plain data, with their salts, for a start without the database."""
    rows = [asdict(replace(one, earlier=(), canaries=())) for one in (*experiment.earlier, experiment)]
    for row in rows:
        del row["earlier"], row["canaries"]
        for name in _MOMENTS:
            row[name] = None if row[name] is None else row[name].isoformat()
    return rows


def restored(rows: Sequence[Mapping[str, Any]], canaries: Sequence[Canary] = ()) -> Experiment | None:
    """What `kept` gave; `None`: nothing. Raises `ValueError`, `TypeError`, `KeyError` for what it did not."""
    if not rows:
        return None
    *earlier, newest = [
        Experiment(**{**row, **{name: row[name] and datetime.fromisoformat(row[name]) for name in _MOMENTS}})
        for row in rows
    ]
    return replace(newest, earlier=tuple(earlier), canaries=tuple(canaries))


def check_named(named: Collection[str], settings: Serving, running: experiments.Experiment) -> None:
    """Settings of an experiment that a person gave with a server's start are as the newest one has them.

    Args:
        named: keys of the section `serving` that were given.

    Raises:
        ExperimentError: one is another; the message names the command that changes it, and never a salt.
    """
    has: dict[str, tuple[Any, str]] = {
        "experiment": (running.id, f"`crossmix experiment begin {settings.experiment}`"),
        "salt": (running.salt, "`crossmix experiment begin` with --salt-file begins one with another"),
        "weight": (running.weights.get("policy"), "`crossmix experiment begin` with --weight begins one with another"),
        "days": (running.days, f"`crossmix experiment extend {running.id} --days ...` gives it more"),
        "level": (running.level, "`crossmix experiment begin` with --level begins one with another"),
    }
    for key, (value, command) in has.items():
        given = getattr(settings, key)
        if key in named and given != value:
            what = "another than" if key == "salt" else f"{given!r}, not {value!r} as"
            raise ExperimentError(
                f"serving.{key}: {what} the experiment {running.id!r} began with, and users keep their arms: leave it "
                f"out; {command}"
            )
