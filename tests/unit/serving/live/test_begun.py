"""The experiment that the database has: who began it, and what a start that wants another is told."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from crossmix.config import Serving
from crossmix.ledger import canaries, experiments
from crossmix.ledger.experiments import Plan
from crossmix.ledger.store import Store
from serving.assignment.arms import ExperimentError
from serving.live.begun import Begun

CONFIG = Serving(experiment="spring", salt="secret", weight=0.7, days=10, level=0.1)
NEXT = Plan("summer", "another", {"policy": 0.5, "control": 0.5}, 21, 0.05)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(f"sqlite:///{tmp_path / 'serving.db'}")
    yield made
    made.close()


def test_the_first_start_begins_the_configs(store: Store) -> None:
    found = Begun(CONFIG, ()).read(store, serves=False)
    assert (found.id, found.salt, found.ended) == ("spring", "secret", None)
    assert found.weights == {"policy": 0.7, "control": 0.3}
    (row,) = experiments.load_all(store)
    assert (row.id, row.salt, row.weights, row.days, row.level) == ("spring", "secret", found.weights, 10, 0.1)
    # Another server of the same database gets that one, whatever its own config would begin.
    other = Begun(replace(CONFIG, experiment="other", salt="its own", weight=0.5), ())
    assert other.read(store, serves=False) == found
    assert other.trouble is None
    assert len(experiments.load_all(store)) == 1


def test_without_a_salt_users_are_shuffled_by_a_random_one_that_stays(store: Store, tmp_path: Path) -> None:
    settings = replace(CONFIG, salt=None)
    salt = Begun(settings, ()).read(store, serves=False).salt
    assert len(bytes.fromhex(salt)) == 16
    assert Begun(settings, ()).read(store, serves=False).salt == salt
    second = Store(f"sqlite:///{tmp_path / 'second.db'}")
    assert Begun(settings, ()).read(second, serves=False).salt != salt
    second.close()


def test_a_start_that_names_another_setting_is_refused_each_time(store: Store) -> None:
    Begun(CONFIG, ("weight", "days")).read(store, serves=False)
    other = Begun(replace(CONFIG, weight=0.5), ("weight",))
    for _ in range(2):
        with pytest.raises(
            ExperimentError, match=r"serving\.weight: 0\.5, not 0\.7 as the experiment 'spring' began with"
        ):
            other.read(store, serves=False)
    assert other.trouble is None


def test_a_server_that_serves_already_goes_on_and_says_so(store: Store) -> None:
    """The database was away as it started: users have the arms of the experiment that goes on."""
    Begun(CONFIG, ()).read(store, serves=False)
    other, before = Begun(replace(CONFIG, salt="its own"), ("salt",)), time.time()
    found = other.read(store, serves=True)
    assert found.salt == "secret"
    assert other.trouble is not None
    assert other.trouble.startswith("serving.salt: another than the experiment 'spring' began with")
    assert "secret" not in other.trouble
    assert other.since is not None
    assert before <= other.since <= time.time()
    # It stays told, since then.
    since = other.since
    assert other.read(store, serves=True) == found
    assert other.since == since


def test_one_that_begins_while_the_server_runs_may_be_another(store: Store) -> None:
    begun = Begun(CONFIG, ("experiment", "weight", "days"))
    first = begun.read(store, serves=False)
    experiments.begin(store, NEXT, "jane")
    second = begun.read(store, serves=True)
    assert (second.id, second.weights, begun.trouble) == ("summer", NEXT.weights, None)
    assert [one.id for one in second.earlier] == ["spring"]
    assert second.earlier[0].started == first.started
    assert second.earlier[0].ended is not None


def test_the_experiment_has_the_canaries_of_the_database(store: Store) -> None:
    begun = Begun(CONFIG, ())
    assert begun.read(store, serves=False).canaries == ()
    plan = canaries.Plan(
        version=2, bundle="b" * 64, champion=1, parts=(0.1, 0.5), cycles=3, roi_drop=0.1, false_stops=0.05
    )
    row = canaries.begin(store, plan, "ann")
    assert begun.read(store, serves=True).canaries == (row,)
