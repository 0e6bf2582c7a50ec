"""A form is taken only from a page of this server, in the browser and from the caller that it was given to."""

from __future__ import annotations

import pytest

from serving.page import csrf
from serving.page.csrf import ForgedError, Signer

NOW = 1_700_000_000.0
HERE = {"host": "desk.example", "origin": "https://desk.example"}


def signer(key: str = "database", now: float = NOW) -> Signer:
    return Signer(lambda: key, lambda: now)


def test_a_form_comes_back_to_every_server_of_the_database_for_half_a_day() -> None:
    token = signer().sign("session", "anna")
    signer().check(HERE, "session", "anna", token)
    signer(now=NOW + csrf.HOURS * 3_600 - 1).check(HERE, "session", "anna", token)
    with pytest.raises(ForgedError, match="older than 12 hours; open it again"):
        signer(now=NOW + csrf.HOURS * 3_600 + 1).check(HERE, "session", "anna", token)


@pytest.mark.parametrize(
    ("session", "actor", "token"),
    [
        ("other", "anna", None),
        ("session", "bob", None),
        (None, "anna", None),
        ("session", "anna", ""),
        ("session", "anna", "9999999999.0000"),
        ("session", "anna", "x.y"),
        ("session", "anna", "9999999999.é"),
        ("session", "anna", "\u0661.2"),
    ],
)
def test_whoever_else_sends_it_is_refused(session: str | None, actor: str, token: str | None) -> None:
    given = signer().sign("session", "anna") if token is None else token
    with pytest.raises(ForgedError, match="token: "):
        signer().check(HERE, session, actor, given)


def test_another_databases_form_is_refused() -> None:
    with pytest.raises(ForgedError, match="not one that was given to you here"):
        signer("another").check(HERE, "session", "anna", signer().sign("session", "anna"))


@pytest.mark.parametrize(
    ("headers", "same"),
    [
        ({"host": "a:8080"}, True),
        ({"host": "a:8080", "origin": "http://a:8080"}, True),
        ({"host": "a:8080", "origin": "https://a:8080"}, True),
        ({"host": "a:8080", "origin": "http://a"}, False),
        ({"host": "a:8080", "origin": "null"}, False),
        ({"host": "a:8080", "origin": "http://evil"}, False),
        # A proxy that changes the Host: the browser itself says where the form came from.
        ({"host": "inner", "origin": "https://a", "sec-fetch-site": "same-origin"}, True),
        ({"host": "a", "origin": "http://a", "sec-fetch-site": "same-site"}, False),
        ({"host": "a", "sec-fetch-site": "none"}, False),
    ],
)
def test_where_a_form_comes_from(headers: dict[str, str], same: bool) -> None:
    assert csrf.same_origin(headers) is same


def test_while_the_database_is_away_a_process_takes_its_own_forms() -> None:
    away = True

    def key() -> str:
        if away:
            raise RuntimeError("database: gone")
        return "database"

    mine = Signer(key, lambda: NOW)
    token = mine.sign("session", "anna")
    mine.check(HERE, "session", "anna", token)
    away = False
    mine.check(HERE, "session", "anna", token)
    with pytest.raises(ForgedError):
        signer().check(HERE, "session", "anna", token)
    signer().check(HERE, "session", "anna", mine.sign("session", "anna"))


def test_a_session_is_long_and_plain() -> None:
    assert csrf.session_of(csrf.new_session()) is not None
    assert csrf.new_session() != csrf.new_session()
    assert csrf.session_of("short") is None
    assert csrf.session_of("x" * 30 + "\r\nset-cookie: a") is None
