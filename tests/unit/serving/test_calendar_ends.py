"""Dates and times at the ends of the calendar: each is refused in one sentence, or works; none is a fault."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from serving.app import Settings, application
from serving.experiment import standing
from tests.support.page_server import FIRST, opened, saved
from tests.support.serving_run import NAMES

TOLD = {"campaign_id": FIRST, "arm": "policy", "platform": NAMES[0], "spend": 1.0}
ENDS = ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59-14:00")


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    folder = tmp_path_factory.mktemp("ends")
    for live in opened(saved(folder / "bundle"), folder):
        yield TestClient(application(live, Settings()), base_url="http://127.0.0.1", raise_server_exceptions=False)


def asked(client: TestClient, model: str, cycle: int) -> Any:
    one = {"campaign_id": FIRST, "cycle": cycle} | ({"user_id": "ann"} if model == "router" else {})
    return client.post(f"/v1/models/{model}:predict", json={"instances": [one]})


@pytest.mark.parametrize("model", ["policy", "control", "router"])
def test_a_cycle_beyond_all_calendars_is_refused(client: TestClient, model: str) -> None:
    """The campaign began in June 2026: cycle 63,450 begins in 2200, 2,912,000 would in 9999."""
    for cycle in (64_000, 2_912_000, 3_000_000, 2**31 - 1):
        answer = asked(client, model, cycle)
        sentence = f"instances[0].cycle: {cycle} of {FIRST!r} begins after 2200; it has the cycles 0 to 13, give one"
        assert (answer.status_code, answer.json()) == (400, {"error": sentence})
    told = asked(client, model, 60_000).json()["predictions"][0]
    assert (told["cycle"], told["budget"]) == (60_000, 0.0)


def test_v2_says_the_same(client: TestClient) -> None:
    inputs = [
        {"name": "campaign_id", "datatype": "BYTES", "shape": [1], "data": [FIRST]},
        {"name": "cycle", "datatype": "INT64", "shape": [1], "data": [2**31 - 1]},
    ]
    answer = client.post("/v2/models/policy/infer", json={"inputs": inputs})
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("inputs[0].cycle: 2147483647 of ")


@pytest.mark.parametrize("moment", ENDS)
def test_times_of_feedback_campaigns_and_events_are_refused(client: TestClient, moment: str) -> None:
    said = f"{moment!r}; give a time from 2000 to 2200"
    fed = client.post("/feedback", json=[{"event_id": "e", "timestamp": moment, **TOLD}])
    assert (fed.status_code, fed.json()) == (422, {"error": f"events[0].timestamp: {said}"})
    envelope = {"specversion": "1.0", "id": "1", "source": "s", "type": "t", "time": moment, "data": TOLD}
    event = client.post("/feedback", json=envelope, headers={"content-type": "application/cloudevents+json"})
    assert (event.status_code, said in event.json()["error"]) == (422, True)
    plan = {"campaign_id": "late", "currency": "EUR", "cycle_budget": 1.0, "share": {NAMES[0]: 1.0}}
    more = {"starts": moment, "cycles": 1, "cycle_hours": 24, "timezone": "Pacific/Kiritimati"}
    made = client.post("/campaigns", json=plan | more)
    assert (made.status_code, made.json()) == (422, {"error": f"starts: {said}"})


@pytest.mark.parametrize("moment", ENDS)
def test_a_cloud_event_that_asks_may_have_any_time(client: TestClient, moment: str) -> None:
    """Its time is its own, and nothing is read from it."""
    headers = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "s", "ce-type": "t", "ce-time": moment}
    answer = client.post("/v1/models/policy:predict", json={"instances": [{"campaign_id": FIRST}]}, headers=headers)
    assert (answer.status_code, answer.json()["predictions"][0]["campaign_id"]) == (200, FIRST)


@pytest.mark.parametrize("day", ["0001-01-01", "1999-12-31", "2200-01-01", "9999-12-31"])
@pytest.mark.parametrize("end", ["from", "to"])
def test_pages_and_files_of_days_out_of_range_say_so(client: TestClient, day: str, end: str) -> None:
    sentence = f"{end}: {day!r}; give a day, as 2026-01-31, of the years 2000 to 2199"
    for path in ("/page.json", "/delivery.csv"):
        answer = client.get(path, params={end: day})
        assert (answer.status_code, answer.json()) == (422, {"error": sentence})
    page = client.get("/", params={end: day}, headers={"accept": "text/html"})
    assert page.status_code == 200
    assert f"{end}: &#39;{day}&#39;; give a day" in page.text


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "America/Adak", "UTC", None])
def test_the_first_and_the_last_day_work_in_every_zone(client: TestClient, zone: str | None) -> None:
    names = []
    for starts, name in (("2000-01-01T00:00:00Z", "old"), ("2199-12-30T00:00:00Z", "new")):
        plan = {"campaign_id": f"{name} {zone}", "currency": "EUR", "cycle_budget": 1.0, "share": {NAMES[0]: 1.0}}
        made = client.post(
            "/campaigns", json=plan | {"starts": starts, "cycles": 1, "cycle_hours": 24, "timezone": zone}
        )
        assert made.status_code == 201, made.text
        names.append(plan["campaign_id"])
    days = {"from": "2000-01-01", "to": "2199-12-31"}
    for name in names:
        for path in ("/page.json", "/delivery.csv"):
            assert client.get(path, params={"campaign": name, **days}).status_code == 200
        page = client.get("/", params={"campaign": name, **days}, headers={"accept": "text/html"})
        assert (page.status_code, name in page.text) == (200, True)
        assert client.get("/desk/edit", params={"campaign": name}).status_code == 200


def test_an_experiment_whose_planned_end_lies_beyond_the_calendar_is_extended(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standing, "SLOW_SECONDS", math.inf)  # the newest verdict, however slow the machine
    plan = {"id": "eternal", "days": 999_999, "cycle_hours": 8_784}
    assert client.post("/experiments", json=plan).status_code == 201
    answer = client.post("/experiments/eternal/extend", json={"days": 1_000_000})
    assert (answer.status_code, answer.json()["days"]) == (200, 1_000_000)
    assert client.get("/experiment.json").json()["cycles"]["planned"] == 1_000_000
