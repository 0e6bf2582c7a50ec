"""Whom training used: what it writes down is what it was handed."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from crossmix.journeys.log import JourneyError
from crossmix.journeys.prepared import Log, prepare
from crossmix.journeys.seen import Seen, hashes, parts, used, users_of
from crossmix.journeys.settings import Journeys
from crossmix.journeys.windows import TEST, TRAIN, VALIDATION, cut
from tests.support.journeys import events


def test_a_user_s_hash_is_the_head_of_its_sha_256() -> None:
    want = sorted(int(hashlib.sha256(one).hexdigest()[:16], 16) for one in (b"ann", b"bob"))
    assert hashes(["bob", "ann", "bob"]).tolist() == want
    assert hashes([]).tolist() == []


def test_what_is_written_is_what_training_was_handed(tmp_path: Path) -> None:
    of = events(30, least=1)
    part_U = np.arange(30) % 3
    ready = prepare(of, part_U, Journeys(window=4, stride=2))
    used(ready).save(tmp_path)
    read = Seen.load(tmp_path)
    names = np.asarray(of.users)
    assert read.learned.tolist() == hashes(names[part_U == 0]).tolist()
    assert read.stopped.tolist() == hashes(names[part_U == 1]).tolist()


def test_users_of_a_single_exposure_are_among_those_who_stop_and_are_judged(tmp_path: Path) -> None:
    """They have no window; first exposures' rates, lambda and the gates see them all the same."""
    of = events(30, least=1, most=3)
    part_U = np.arange(30) % 3
    alone_U = np.bincount(of.user_R, minlength=30) == 1
    assert all((alone_U & (part_U == part)).any() for part in (TRAIN, VALIDATION, TEST))
    ready = prepare(of, part_U, Journeys(window=4, stride=2))
    used(ready).save(tmp_path)
    log = Log(ready, np.repeat("c", len(of)), part_U != TRAIN, np.full(len(of), np.nan), "EUR", "0" * 64)
    found, names = parts(log, tmp_path), np.asarray(of.users)
    for part, got in ((TRAIN, found.learned), (VALIDATION, found.stopped), (TEST, found.tested)):
        assert got == set(hashes(names[part_U == part]).tolist())


def test_padding_is_nobody_s() -> None:
    """A padded place is -1, the last row's index, which belongs to the last user."""
    of = events(3, least=2, most=3)
    windows = cut(of, 8, 4)
    first = windows.where(of.user_R[windows.row_NT[:, 0]] == 0)
    assert (first.row_NT == -1).any()
    assert users_of(of, first).tolist() == hashes(["u000"]).tolist()


def test_a_training_that_wrote_nothing_is_asked_to_run_again(tmp_path: Path) -> None:
    with pytest.raises(JourneyError, match=r"users_seen\.npz: .*run the train step again"):
        Seen.load(tmp_path)
