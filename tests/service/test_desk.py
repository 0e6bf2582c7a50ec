"""The desk's forms: over HTTP as a program would send them, and in a browser as a person does."""

from __future__ import annotations

import asyncio
import html
import re
import sqlite3
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from crossmix import bundle as bundles
from crossmix.config import load
from crossmix.ledger import audit
from serving.campaigns import lane
from serving.campaigns import service as campaigns
from serving.http import access
from serving.live.champion import Champion
from serving.live.live import Live
from serving.page import csrf
from serving.page import routes as page
from tests.support import browser
from tests.support.serving_run import CAMPAIGNS, NAMES, save_bundle

FIRST, SECOND = sorted(CAMPAIGNS)[:2]
NEW = {
    "campaign_id": "winter / sale",
    "currency": "EUR",
    "cycle_budget": "250",
    "starts": "2026-01-31T00:00",
    "cycles": "10",
    "cycle_hours": "24",
    "timezone": "Europe/Berlin",
    f"share.{NAMES[0]}": "0.25",
    f"share.{NAMES[1]}": "0.75",
    f"limits.{NAMES[0]}.max": "0.5",
    f"limits.{NAMES[1]}.freeze": "on",
    "reason": "winter",
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> bundles.Bundle:
    return save_bundle(tmp_path_factory.mktemp("desk") / "bundle", load("laptop"), 1)


@pytest.fixture
def live(saved: bundles.Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Live]:
    """What it has acknowledged is in the database, however slow the machine is."""
    monkeypatch.setattr(lane, "ANSWER_SECONDS", 300.0)
    own = tmp_path / "own"
    server = Live(
        load("laptop"), own, f"sqlite:///{own / 'serving.db'}", Champion(own, None, saved.path), tmp_path / "no"
    )
    server.reload()
    yield server
    server.stop()


@pytest.fixture
def tokens(tmp_path: Path) -> dict[str, str]:
    """A token by scope, and the file that has them."""
    file = tmp_path / "tokens.json"
    return {scope: access.create(file, f"a-{scope}", [scope]) for scope in ("read", "admin")} | {"file": str(file)}


@pytest.fixture
def app(live: Live, tokens: dict[str, str]) -> FastAPI:
    application = FastAPI()
    application.include_router(page.router(live, lambda: None, lambda most: audit.trail(live.store, limit=most)))
    application.add_middleware(access.Access, tokens=access.Tokens(Path(tokens["file"])))
    return application


class Person:
    """A browser without eyes: keeps cookies, sends its token, reads forms."""

    def __init__(self, app: Any, token: str) -> None:
        self.app, self.token, self.cookies = app, token, httpx.Cookies()

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        async def call() -> httpx.Response:
            transport = httpx.ASGITransport(app=self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://here", cookies=self.cookies) as client:
                headers = {"accept": "text/html", **more.pop("headers", {})}
                answer = await client.request(method, path, auth=("me", self.token), headers=headers, **more)
                self.cookies.update(client.cookies)
                return answer

        return asyncio.run(call())

    def opened(self, path: str) -> dict[str, str]:
        """The fields of the form there, as they stand."""
        answer = self.ask("GET", path)
        assert answer.status_code == 200, answer.text
        return fields(answer.text)

    def sent(self, path: str, form: dict[str, str], **headers: str) -> httpx.Response:
        return self.ask("POST", path, data=form, headers=headers)


def fields(text: str) -> dict[str, str]:
    """Name and value of each input of a page's form."""
    values = {}
    for tag in re.findall(r"<input [^>]*>", text):
        name, value = re.search(r' name="([^"]*)"', tag), re.search(r' value="([^"]*)"', tag)
        assert name is not None
        if "checkbox" not in tag or "checked" in tag:
            values[html.unescape(name[1])] = html.unescape(value[1]) if value else "on"
    return values


def trail(live: Live) -> list[tuple[str, str, str, str]]:
    return [(one.action, one.subject, one.actor, one.reason) for one in audit.trail(live.store)]


def test_the_kill_switch_is_a_button_that_asks_first(live: Live, app: Any, tokens: dict[str, str]) -> None:
    person = Person(app, tokens["admin"])
    text = person.ask("GET", f"/?campaign={FIRST}").text
    assert f'href="./desk/kill?campaign={FIRST}"' in text
    form = person.opened(f"/desk/kill?campaign={FIRST}")
    assert campaigns.get(live.store, FIRST).override is None
    answer = person.sent("/desk/kill", form | {"reason": "broken page", "step": "do"})
    assert (answer.status_code, answer.headers["location"]) == (303, f"../?campaign={FIRST}&done=kill")
    override = live.campaigns[FIRST].override
    assert override is not None
    assert (override.kind, override.actor, override.reason) == ("static", "a-admin", "broken page")
    text = person.ask("GET", answer.headers["location"].removeprefix("..")).text
    assert page.desk.DONE["kill"] in text
    assert f'href="./desk/lift?campaign={FIRST}"' in text
    answer = person.sent(
        "/desk/lift", person.opened(f"/desk/lift?campaign={FIRST}") | {"step": "do", "reason": "mended"}
    )
    assert answer.status_code == 303
    assert live.campaigns[FIRST].override is None
    assert trail(live)[:2] == [
        ("override.lift", FIRST, "a-admin", "mended"),
        ("override.set", FIRST, "a-admin", "broken page"),
    ]


def test_a_reader_sees_the_page_and_no_button(live: Live, app: Any, tokens: dict[str, str]) -> None:
    reader, person = Person(app, tokens["read"]), Person(app, tokens["admin"])
    text = reader.ask("GET", f"/?campaign={FIRST}").text
    assert "/desk/" not in text
    assert "/desk/kill" in person.ask("GET", f"/?campaign={FIRST}").text
    assert reader.ask("GET", f"/desk/kill?campaign={FIRST}").status_code == 403
    # Also with a form that an administrator was given.
    form = person.opened(f"/desk/kill?campaign={FIRST}")
    reader.cookies = person.cookies
    assert reader.sent("/desk/kill", form | {"step": "do"}).status_code == 403
    assert live.campaigns[FIRST].override is None


def test_a_form_from_elsewhere_does_nothing(live: Live, app: Any, tokens: dict[str, str]) -> None:
    person = Person(app, tokens["admin"])
    form = person.opened(f"/desk/pause?campaign={FIRST}") | {"step": "do"}
    for headers in (
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site", "origin": "http://here"},
    ):
        answer = person.sent("/desk/pause", form, **headers)
        assert answer.status_code == 403, headers
        assert "sent from another site" in answer.text
    unsigned = {key: value for key, value in form.items() if key != "token"}
    assert person.sent("/desk/pause", unsigned).status_code == 403
    stranger = Person(app, tokens["admin"])
    assert stranger.sent("/desk/pause", form).status_code == 403
    stranger.opened(f"/desk/pause?campaign={FIRST}")
    assert stranger.sent("/desk/pause", form).status_code == 403
    assert not campaigns.get(live.store, FIRST).paused
    assert person.sent("/desk/pause", form, origin="http://here").status_code == 303
    assert campaigns.get(live.store, FIRST).paused


def test_create_keeps_what_was_typed_and_says_what_is_wrong_beside_it(
    live: Live, app: Any, tokens: dict[str, str]
) -> None:
    person = Person(app, tokens["admin"])
    form = person.opened("/desk/new") | NEW | {"step": "check"}
    for wrong, sentence in (
        ({"cycle_budget": "12,5"}, "cycle_budget: '12,5'; give an amount above 0, or pause the campaign"),
        ({f"share.{NAMES[1]}": "0.5"}, "share: the shares sum to 0.75; make them sum to 1"),
        ({f"limits.{NAMES[0]}.max": "3"}, f"limits.{NAMES[0]}.max: 3.0; give a share of the cycle budget from 0 to 1"),
        ({"timezone": "Europe/Atlantis"}, "timezone: 'Europe/Atlantis'; give an IANA time zone"),
        ({"starts": "tomorrow"}, "starts: 'tomorrow'; give a time, as 2026-01-01T00:00:00Z"),
        ({"campaign_id": FIRST}, f"campaign_id: '{FIRST}' is there already"),
        ({"reason": "x" * 1_001}, "reason: 1,001 characters; give text of at most 1,000"),
    ):
        answer = person.sent("/desk/new", form | wrong)
        assert answer.status_code in (409, 422), wrong
        name = next(iter(wrong))
        marked = "share" if name.startswith("share") else name
        beside = re.search(r'<p class="wrong" id="wrong">([^<]*)', answer.text)
        assert beside is not None, wrong
        assert sentence in html.unescape(beside[1])
        if marked != "share":
            assert re.search(rf'name="{re.escape(name)}"[^>]* aria-invalid="true"', answer.text), name
        again = fields(answer.text)
        assert {key: again[key] for key in NEW} == NEW | wrong
    assert set(live.campaigns) == set(CAMPAIGNS)
    # Checked, it is shown once more; confirmed, it is there.
    review = person.sent("/desk/new", form)
    assert review.status_code == 200
    assert "What changes" in review.text
    assert set(live.campaigns) == set(CAMPAIGNS)
    back = fields(person.sent("/desk/new", fields(review.text) | {"step": "back"}).text)
    assert {key: back[key] for key in NEW} == NEW
    answer = person.sent("/desk/new", fields(review.text) | {"step": "do"})
    assert answer.headers["location"] == f"../?campaign={quote('winter / sale', safe='')}&done=new"
    one = live.campaigns["winter / sale"]
    assert one.starts == datetime(2026, 1, 30, 23, tzinfo=UTC)
    assert (one.timezone, one.cycle_budget, one.cycles) == ("Europe/Berlin", 250.0, 10)
    assert one.limits == {NAMES[0]: {"max": 0.5}, NAMES[1]: {"freeze": True}}
    assert trail(live)[0] == ("campaign.create", "winter / sale", "a-admin", "winter")


def test_an_edit_changes_what_the_person_changed_and_nothing_else(live: Live, app: Any, tokens: dict[str, str]) -> None:
    person = Person(app, tokens["admin"])
    form = person.opened(f"/desk/edit?campaign={FIRST}")
    before = live.campaigns[FIRST]
    # Meanwhile somebody else changes another field.
    campaigns.edit(live.store, FIRST, {"cycles": 77}, NAMES, "bob")
    live.reload()
    assert person.sent("/desk/edit", form | {"step": "do"}).headers["location"].endswith("&done=nothing")
    review = person.sent("/desk/edit", form | {"cycle_budget": "1234.5", "step": "check"})
    assert f"{before.cycle_budget:g}" in review.text
    assert "1234.5" in review.text
    answer = person.sent("/desk/edit", fields(review.text) | {"step": "do"})
    assert answer.status_code == 303
    after = live.campaigns[FIRST]
    assert (after.cycle_budget, after.cycles) == (1234.5, 77)
    assert (after.share, after.limits, after.starts) == (before.share, before.limits, before.starts)
    # A limit is taken off by emptying its field.
    form = person.opened(f"/desk/edit?campaign={FIRST}")
    assert form[f"limits.{NAMES[0]}.min"] == "0.02"
    answer = person.sent("/desk/edit", form | {f"limits.{NAMES[0]}.min": "", "step": "do"})
    assert answer.status_code == 303
    assert live.campaigns[FIRST].limits[NAMES[0]] == {"max": 0.5}


def test_a_given_split_and_pause_and_resume(live: Live, app: Any, tokens: dict[str, str]) -> None:
    person = Person(app, tokens["admin"])
    form = person.opened(f"/desk/split?campaign={SECOND}")
    given = {f"share.{name}": "0" for name in NAMES} | {f"share.{NAMES[0]}": "0.5", f"share.{NAMES[1]}": "0.4"}
    answer = person.sent("/desk/split", form | given | {"step": "check"})
    assert answer.status_code == 422
    assert "share: the shares sum to 0.9; make them sum to 1" in answer.text
    given[f"share.{NAMES[1]}"] = "0.5"
    review = person.sent("/desk/split", form | given | {"step": "check"})
    assert person.sent("/desk/split", fields(review.text) | {"step": "do"}).status_code == 303
    override = live.campaigns[SECOND].override
    assert override is not None
    assert override.share == {name: 0.5 if name in NAMES[:2] else 0.0 for name in NAMES}
    for action, paused in (("pause", True), ("resume", False)):
        form = person.opened(f"/desk/{action}?campaign={SECOND}")
        assert person.sent(f"/desk/{action}", form | {"step": "do"}).status_code == 303
        assert live.campaigns[SECOND].paused is paused


def test_a_switch_that_waits_for_the_database_says_so(live: Live, tokens: dict[str, str]) -> None:
    asked: list[tuple[Any, ...]] = []

    async def switch(*args: Any) -> bool:
        asked.append(args)
        return False

    application = FastAPI()
    application.include_router(page.router(live, lambda: None, lambda _: [], switch=switch))
    application.add_middleware(access.Access, tokens=access.Tokens(Path(tokens["file"])))
    person = Person(application, tokens["admin"])
    form = person.opened(f"/desk/kill?campaign={FIRST}") | {"reason": "now", "step": "do"}
    answer = person.sent("/desk/kill", form)
    assert asked == [("kill", FIRST, "a-admin", "now", None)]
    assert answer.headers["location"] == f"../?campaign={FIRST}&done=pending"
    assert "gets it when it can" in person.ask("GET", f"/?campaign={FIRST}&done=pending").text


def test_the_kill_switch_holds_while_the_database_is_locked(
    live: Live, app: Any, tokens: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane, "ANSWER_SECONDS", 0.1)
    person = Person(app, tokens["admin"])
    form = person.opened(f"/desk/kill?campaign={FIRST}") | {"reason": "now", "step": "do"}
    locking = sqlite3.connect(live.folder / "serving.db", isolation_level=None)
    locking.execute("BEGIN IMMEDIATE")
    try:
        answer = person.sent("/desk/kill", form)
        assert answer.headers["location"] == f"../?campaign={FIRST}&done=pending"
        override = live.campaigns[FIRST].override
        assert override is not None
        assert (override.kind, override.actor, override.reason) == ("static", "a-admin", "now")
        assert campaigns.get(live.store, FIRST).override is None
    finally:
        locking.execute("ROLLBACK")
        locking.close()
    deadline = time.monotonic() + 300
    while campaigns.get(live.store, FIRST).override is None and time.monotonic() < deadline:
        time.sleep(0.02)
    assert trail(live)[0] == ("override.set", FIRST, "a-admin", "now")


def test_what_is_not_there_is_a_sentence(app: Any, tokens: dict[str, str]) -> None:
    person = Person(app, tokens["admin"])
    for path in ("/desk/nonsense", "/desk/kill?campaign=nobody", "/desk/kill"):
        answer = person.ask("GET", path)
        assert answer.status_code == 404
        assert "go back to the page and choose one" in answer.text
    assert person.ask("GET", "/", follow_redirects=False).status_code == 200
    assert "done=" not in person.ask("GET", "/?done=<b>x</b>").text


@pytest.fixture
def served(app: FastAPI) -> Iterator[str]:
    """The application on loopback."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 300
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.02)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/"
    server.should_exit = True
    thread.join(20)


@pytest.mark.slow
@browser.needed
def test_a_person_works_the_desk_in_a_browser(live: Live, served: str, tokens: dict[str, str], tmp_path: Path) -> None:
    url = served.replace("http://", f"http://me:{tokens['admin']}@")
    starts = (datetime.now(UTC) + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M")
    with browser.chromium(tmp_path) as shown:
        # The kill switch: a button, a reason, done; and lifted.
        shown.open(f"{url}?campaign={FIRST}", 1280)
        shown.press("a[href^='./desk/kill']")
        shown.write("reason", "broken page")
        assert shown.accessibility() == []
        shown.press("button[value=do]")
        assert "kill switch is on" in shown.value("document.querySelector('.done').innerText")
        assert live.campaigns[FIRST].override is not None
        shown.press("a[href^='./desk/lift']")
        shown.press("button[value=do]")
        assert live.campaigns[FIRST].override is None
        shown.press("a[href^='./desk/pause']")
        shown.press("button[value=do]")
        assert live.campaigns[FIRST].paused
        # Created with an error, mended, checked, confirmed.
        shown.open(f"{url}desk/new", 390)
        for name, text in (NEW | {"starts": starts, "cycle_budget": "abc"}).items():
            if not name.endswith("freeze"):
                shown.write(name, text)
        shown.press("button[value=check]")
        assert "give an amount above 0" in shown.value("document.querySelector('#wrong').innerText")
        assert shown.value("document.querySelector('[name=campaign_id]').value") == "winter / sale"
        assert shown.accessibility() == []
        assert shown.value("document.documentElement.scrollWidth") <= 390
        shown.write("cycle_budget", "250")
        shown.press("button[value=check]")
        assert "winter / sale" not in live.campaigns
        assert shown.accessibility() == []
        shown.press("button[value=do]")
        assert live.campaigns["winter / sale"].cycle_budget == 250
        # Edited.
        shown.press("a[href^='./desk/edit']")
        shown.write("cycle_budget", "300")
        shown.press("button[value=check]")
        shown.press("button[value=do]")
        assert live.campaigns["winter / sale"].cycle_budget == 300
        refused = [one for one in shown.complaints if "422" not in one]
        assert refused == []
        assert shown.value(f"document.cookie.includes({csrf.COOKIE!r})") is False
