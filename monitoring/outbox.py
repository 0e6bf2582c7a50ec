"""Delivery of alerts: a loop per target sends what is due until the target acknowledges it, and outlives a kill.

A row of the outbox waits until a 2xx, and stays for `alerts.keep` days after it. What may work later is tried again,
with a pause that doubles, a part of it by chance, and at least what Retry-After asks for; what will never work is
parked and told. Pauses are of the wall's time.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from crossmix.background import Loop, sentence
from crossmix.clock import Clock, wall
from crossmix.config import Alerts
from crossmix.ledger import alerts as ledger
from crossmix.ledger import outbox
from crossmix.ledger.outbox import Letter
from crossmix.ledger.store import Store, StoreAwayError
from monitoring import metrics
from monitoring.alerts import Alert
from monitoring.targets import Destination, TemplateError

_log = logging.getLogger(__name__)
AT_ONCE = 100
"""Letters of a target in one round."""
LONGEST_WAIT = timedelta(days=1)
"""That a target may ask for in Retry-After."""
PATIENCE = timedelta(days=1)
"""How long a refused signature or token is tried again: keys that rotate are not everywhere at once."""
LATER = frozenset({408, 421, 423, 425, 429})
"""Statuses below 500 after which the same may work."""
TIDY = timedelta(hours=1)
"""Between two looks for rows that were kept long enough."""
UNKNOWN_HERE = frozenset({401, 403})


@dataclass(frozen=True, slots=True)
class Answer:
    """What a target said."""

    status: int
    retry_after: str | None = None


Post = Callable[..., Answer]
"""(url, headers, body, timeout in seconds) -> the answer; raises `AwayError`."""


class AwayError(RuntimeError):
    """No answer: the target cannot be reached, or was cut off."""


def raise_alert(store: Store, alert: Alert, settings: Alerts, now: Clock = wall) -> bool:
    """Keep an alert and put it on its way to every configured target; whether it was new. Raises `StoreAwayError`."""
    return ledger.raise_alert(store, alert.notice(settings.source), settings.targets, now())


class Courier:
    """Takes the letters of one target there.

    Args:
        store: the ledger; it may raise `StoreAwayError`.
        settings: pauses.
        post: sends; over HTTP where absent.
        now: wall time, UTC.
        chance: uniform in [0, 1), for the jitter.
    """

    def __init__(
        self,
        store: Callable[[], Store],
        destination: Destination,
        settings: Alerts,
        *,
        post: Post | None = None,
        now: Clock = wall,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._store, self.destination, self._settings = store, destination, settings
        self._post, self._now, self._chance = post or over_http, now, chance
        self._rest: datetime | None = None
        self._tidied: datetime | None = None
        self._failed = 0
        """Tries without an acknowledgement since the last one, of whatever letter: a target that is away stays away."""
        # A letter is another process's again once this one has surely given up on it.
        self._lease = timedelta(seconds=60 + 6 * destination.target.timeout)

    def round(self) -> None:
        """Send what is due, until the target is in trouble; raises `StoreAwayError`."""
        store, name = self._store(), self.destination.name
        self._tidy(store)
        for _ in range(AT_ONCE):
            now = self._now()
            if self._rest is not None and now < self._rest:
                break
            letter = outbox.take(store, name, now, self._lease)
            if letter is None:
                break
            self._deliver(store, letter)
        for (target, state), number in outbox.counts(store, (name,)).items():
            if target == name:
                metrics.LETTERS.labels(target, state).set(number)

    def _tidy(self, store: Store) -> None:
        """Acknowledged rows leave after `alerts.keep` days; also those of targets that are configured no more."""
        now = self._now()
        if self._tidied is None or now - self._tidied >= TIDY:
            outbox.prune(store, now - timedelta(days=self._settings.keep))
            self._tidied = now

    def _deliver(self, store: Store, letter: Letter) -> None:
        name = self.destination.name
        try:
            message = self.destination.message(letter.event, self._now())
            answer = self._post(message.url, message.headers, message.body, self.destination.target.timeout)
        except AwayError as error:
            self._again(store, letter, None, sentence(error), None)
            return
        except (TemplateError, ValueError) as error:
            self._park(store, letter, None, sentence(error))
            return
        now, status = self._now(), answer.status
        if 200 <= status < 300:
            outbox.delivered(store, letter, now, status)
            self._rest, self._failed = None, 0
            metrics.TRIES.labels(name, "delivered").inc()
        elif status in LATER or status >= 500 or (status in UNKNOWN_HERE and now - letter.created < PATIENCE):
            self._again(store, letter, status, f"HTTP {status}", answer.retry_after)
        else:
            self._park(store, letter, status, f"HTTP {status}: the same will be refused again")

    def _again(self, store: Store, letter: Letter, status: int | None, trouble: str, asked: str | None) -> None:
        now = self._now()
        tries = min(max(letter.attempts, self._failed), 30)
        pause = min(self._settings.longest_retry, self._settings.first_retry * 2**tries)
        waited = timedelta(seconds=pause * (0.5 + 0.5 * self._chance()))
        due = now + max(waited, _retry_after(asked, now))
        outbox.again(store, letter, due, status, trouble)
        self._rest, self._failed = due, self._failed + 1
        metrics.TRIES.labels(self.destination.name, "later").inc()
        if letter.attempts == 0:
            _log.warning("alert %s for %s: %s; it is tried again", letter.alert_id, letter.target, trouble)

    def _park(self, store: Store, letter: Letter, status: int | None, trouble: str) -> None:
        outbox.park(store, letter, self._now(), status, trouble)
        metrics.TRIES.labels(self.destination.name, "parked").inc()
        _log.error(
            "alert %s for %s is parked: %s; mend alerts.targets.%s, then crossmix monitor outbox --retry",
            letter.alert_id,
            letter.target,
            trouble,
            letter.target,
        )


def loops(store: Callable[[], Store], destinations: Iterable[Destination], settings: Alerts, **more: Any) -> list[Loop]:
    """A loop per target, not yet started: one that hangs holds up no other. `more`: as `Courier` takes it."""
    couriers = [Courier(store, destination, settings, **more) for destination in destinations]
    return [
        Loop(f"outbox {one.destination.name}", settings.every, one.round, at_once=True, expected=(StoreAwayError,))
        for one in couriers
    ]


def over_http(url: str, headers: Mapping[str, str], body: bytes, timeout: float) -> Answer:
    """Post over HTTP without following redirects; the answer's body is not read. Raises `AwayError`."""
    import httpx

    try:
        with (
            httpx.Client(timeout=timeout, follow_redirects=False) as client,
            client.stream("POST", url, headers=headers, content=body) as response,
        ):
            return Answer(response.status_code, response.headers.get("retry-after"))
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        # Not the whole text of the error: it may have the address, which is a secret of some targets.
        raise AwayError(f"no answer ({type(error).__name__})") from None


def _retry_after(header: str | None, now: datetime) -> timedelta:
    """What a target asks for, seconds or a date; nothing where it is neither."""
    if header is None:
        return timedelta()
    text = header.strip()
    if text.isdigit() and len(text) < 10:
        return min(timedelta(seconds=int(text)), LONGEST_WAIT)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return timedelta()
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    return min(max(moment - now, timedelta()), LONGEST_WAIT)
