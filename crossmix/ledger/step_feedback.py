"""The feedback step: what came back since the champion's market was fitted, checked before it is believed.

Shapes: T cycles, C campaigns, P platforms.
"""

from __future__ import annotations

import os
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from crossmix import reward
from crossmix.agents import online
from crossmix.artifacts import FeedbackReport, ServingVersion, SuspectCell
from crossmix.clock import ClockError, clock_of
from crossmix.config import Config, ConfigError
from crossmix.feedback import Feedback
from crossmix.ledger import quarantine, returned, served
from crossmix.ledger.returned import Returned
from crossmix.ledger.store import Store, StoreAwayError, StoreUrlError
from crossmix.ledger.where import VARIABLE, database_of
from crossmix.market.level_evidence import Usual
from crossmix.market.model import Market, load
from crossmix.market.plausible import Suspect, suspects
from crossmix.metrics import ARMS
from crossmix.training.believed import Cell, believe, only_clicks, placed
from crossmix.training.feedback_file import save_feedback, save_served

POLICY = ARMS[0]


def feedback(config: Config, champion: Path, home: Path, out: Path) -> FeedbackReport:
    """Read the ledger; write feedback.json, feedback.npz and, where there is something to learn from, served.npz.

    Args:
        champion: what the champion step wrote.
        home: the run's folder, where the database of a server without an address of its own lives.

    Raises:
        ConfigError: the database is none, or away; a campaign, the time or its clock is none.
    """
    version, market = ServingVersion.load(champion), load(champion / "market")
    at = _moment(config)
    url = database_of(config.serving) or f"sqlite:///{(home / 'serving' / 'serving.db').absolute()}"
    try:
        store = Store.existing(url, lambda: at)
        try:
            return _read(config, store, version, market, at, out)
        finally:
            store.close()
    except StoreUrlError as error:
        shown = f"(of {VARIABLE})" if not config.serving.database and os.environ.get(VARIABLE) else url
        raise ConfigError(f"serving.database: {shown}: {error}; serve the run first with `crossmix serve`") from None
    except StoreAwayError as error:
        raise ConfigError(f"serving.database: {error}; start it, or name another") from None


def _moment(config: Config) -> datetime:
    """Market time up to which is read."""
    if config.readapt.at is None:
        try:
            return clock_of(config.serving.clock)()
        except ClockError as error:
            raise ConfigError(f"serving.{error}") from None
    try:
        moment = datetime.fromisoformat(config.readapt.at)
    except ValueError:
        raise ConfigError(f"readapt.at: {config.readapt.at!r} is no time; give one as 2026-01-05T09:00:00Z") from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _read(
    config: Config, store: Store, version: ServingVersion, market: Market, at: datetime, out: Path
) -> FeedbackReport:
    for name in config.readapt.campaigns:
        if name not in market.campaigns:
            known = ", ".join(market.campaigns)
            raise ConfigError(f"readapt.campaigns: {name!r} is not of the champion's market; it has {known}")
    wanted = config.readapt.campaigns or market.campaigns
    due = market.delay.shape[2] - 1
    found = returned.read(store, market.platforms, at, newest=config.readapt.cycles + due)
    own = next((one for one in found if one.cycle_hours == market.cycle_hours), None)
    left_out = _left_out(found, market, wanted)
    until = None if version.until is None else _utc64(datetime.fromisoformat(version.until))
    arms, ends_TC, taken_TC = _placed(own, market, wanted, due, config.readapt.cycles, until)
    usual = Usual.of(market)
    checked = suspects(usual, arms, config.serving.guard) if len(ends_TC) else []
    decided = _decided(store)
    believed = believe(arms, checked, decided)
    log = _served(config, store, version, market, at, _unbelieved(believed.open, decided))
    known_T = believed.feedback.reported_TCP.any((1, 2)) & ~taken_TC.all(1) if len(ends_TC) else np.zeros(0, bool)
    newest = ends_TC[~np.isnat(ends_TC)]
    report = FeedbackReport(
        at=at.isoformat(),
        until=None if not len(newest) else _iso(newest.max()),
        cycles=int(known_T.sum()),
        warming=int(taken_TC.all(1).sum()),
        day=_day(believed.feedback, market),
        campaigns=tuple(name for c, name in enumerate(market.campaigns) if _any(believed.feedback, c)),
        left_out=left_out,
        arms=tuple(arm for arm, one in arms.items() if np.nan_to_num(one.impressions_TCP).any()),
        suspects=tuple(SuspectCell(**asdict(one), sentence=one.sentence) for one in believed.open),
        served=0 if log is None else len(log),
    )
    save_feedback(believed.feedback, out)
    save_served(log, out)
    report.save(out)
    return report


def _decided(store: Store) -> dict[Cell, bool]:
    """What persons decided of cells that the guard held: whether they are believed."""
    entries = quarantine.read(store, states=(quarantine.CONFIRMED, quarantine.DISCARDED))
    return {
        Cell(one.campaign_id, one.arm, one.platform, one.cycle): one.state == quarantine.CONFIRMED for one in entries
    }


def _unbelieved(held: tuple[Suspect, ...], decided: dict[Cell, bool]) -> set[tuple[str, int]]:
    """Campaigns and cycles of the policy of which a cell is held or discarded: their sums are not learned from."""
    cells = [(one.campaign, cycle) for one in held if one.arm == POLICY for cycle in range(one.first, one.cycle + 1)]
    return {*cells, *((one.campaign, one.cycle) for one, kept in decided.items() if one.arm == POLICY and not kept)}


def _left_out(found: list[Returned], market: Market, wanted: tuple[str, ...]) -> dict[str, str]:
    why: dict[str, str] = {}
    for one in found:
        for name in next(iter(one.arms.values())).campaigns:
            if name not in market.campaigns:
                why[name] = "the champion's market does not have it; train again to have it in"
            elif one.cycle_hours != market.cycle_hours:
                why[name] = f"its cycles have {one.cycle_hours:g} hours, the champion's market's {market.cycle_hours:g}"
            elif name not in wanted:
                why[name] = "readapt.campaigns does not name it"
    return why


def _placed(
    own: Returned | None, market: Market, wanted: tuple[str, ...], due: int, cycles: int, until: Any
) -> tuple[dict[str, Feedback], NDArray[np.datetime64], NDArray[np.bool_]]:
    """Each arm's feedback by the market's campaigns; when its cycles ended, and which of them were taken in before."""
    if own is None:
        nothing = _nothing(market)
        none = (0, len(market.campaigns))
        return dict.fromkeys(ARMS, nothing), np.zeros(none, "datetime64[us]"), np.zeros(none, bool)
    names = next(iter(own.arms.values())).campaigns
    at_M = [names.index(name) if name in names and name in wanted else -1 for name in market.campaigns]
    nat = np.full((len(own.ends_TC), 1), np.datetime64("NaT"), "datetime64[us]")
    ends_TC = np.concatenate([own.ends_TC, nat], 1)[:, at_M]
    keep_C = np.array([name in wanted for name in names])
    taken_TC = np.zeros(ends_TC.shape, bool)
    taken_TC[: max(len(ends_TC) - cycles, 0)] = True
    if until is not None:
        taken_TC |= ~np.isnat(ends_TC) & (ends_TC <= until)
    # Of what was taken in only the last rows are of use: their conversions are due.
    old_T = (taken_TC | np.isnat(ends_TC)).all(1)
    first = max(int(np.argmin(old_T)) if not old_T.all() else len(old_T), due) - due
    arms = {
        arm: only_clicks(placed(one.only(keep_C), market.campaigns), taken_TC).between(first, len(ends_TC))
        for arm, one in own.arms.items()
    }
    return arms, ends_TC[first:], taken_TC[first:]


def _nothing(market: Market) -> Feedback:
    """No cycle has finished."""
    shape = (0, len(market.campaigns))
    cells = np.zeros((*shape, len(market.platforms)))
    names = ("told", "spend", "requests", "impressions", "clicks", "conversions", "revenue")
    return Feedback(
        campaigns=market.campaigns,
        platforms=market.platforms,
        cycle_TC=np.zeros(shape, np.int64),
        weekday_TC=np.zeros(shape, np.int64),
        part_TC=np.zeros(shape),
        **{f"{name}_TCP": cells for name in names},
    )


def _served(
    config: Config, store: Store, version: ServingVersion, market: Market, at: datetime, bad: set[tuple[str, int]]
) -> online.Feedback | None:
    """What the champion served and got, of the newest cycles, for eq. 12; `bad`: campaigns and cycles left out."""
    log = served.read(
        store,
        market.platforms,
        at,
        campaigns=config.readapt.campaigns or market.campaigns,
        arms=(POLICY,),
        bundles=(version.bundle_digest,),
        newest=config.online.window,
    ).learnable()
    rows = zip(log.campaign_N.tolist(), log.cycle_N.tolist(), strict=True)
    keep_N = np.array([(log.campaigns[c], cycle) not in bad for c, cycle in rows], bool)
    log = log.rows(keep_N)
    if not len(log):
        return None
    earned_N = reward.online(config.reward, *(torch.from_numpy(one) for one in (log.roi_N, log.ctr_N, log.cvr_N)))
    return online.Feedback(
        state_NS=torch.from_numpy(log.state_NS),
        logits_NP=torch.from_numpy(log.logits_NP).float(),
        log_density_N=torch.from_numpy(log.log_density_N).float(),
        reward_N=earned_N.float(),
        group_N=torch.from_numpy(log.campaign_N),
    )


def _any(feedback: Feedback, c: int) -> bool:
    return bool(feedback.reported_TCP[:, c].any())


def _day(feedback: Feedback, market: Market) -> int:
    """t of eq. 12."""
    newest = int(feedback.cycle_TC.max(initial=0))
    return int(timedelta(hours=market.cycle_hours) * newest / timedelta(days=1)) + 1


def _utc64(moment: datetime) -> np.datetime64:
    return np.datetime64(moment.astimezone(UTC).replace(tzinfo=None), "us")


def _iso(moment: np.datetime64) -> str:
    stamp: datetime = moment.astype("datetime64[us]").item()
    return stamp.replace(tzinfo=UTC).isoformat()
