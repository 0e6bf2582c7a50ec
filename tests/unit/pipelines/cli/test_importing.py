"""`crossmix campaign import`: rows as they come, bounded batches, line numbers, and the same import once more."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from crossmix.config.serving import Serving
from crossmix.ledger import tables
from crossmix.ledger.campaigns import load_all
from crossmix.ledger.store import Store
from pipelines.cli import importing
from pipelines.cli.client import AskError
from pipelines.cli.importing import BATCH_BYTES, BATCH_ROWS, Row, batches, rows
from pipelines.cli.main import app
from serving.http import resources as routes
from serving.http.observe import Observe
from tests.support.serving_live import FakeLive, raw

SHARE = {"search": 0.5, "social": 0.3, "video": 0.2}


class Asked(FakeLive):
    """A server behind `httpx.request`, its requests counted; `away_after` so many it is killed."""

    sizes: list[int]
    rows: list[int]
    away_after: int | None = None


@pytest.fixture
def live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Asked]:
    live = Asked(Store(f"sqlite:///{tmp_path}/serving.db"))
    live.sizes, live.rows = [], []
    served, limits = FastAPI(), Serving()
    served.include_router(routes.router(live, changed=lambda: None, clock=live.clock))
    client = TestClient(Observe(served, limits.largest_body, limits.largest_batch))

    def request(method: str, url: str, *, timeout: float, **options: Any) -> Any:
        if live.away_after is not None and len(live.rows) >= live.away_after:
            raise httpx.ConnectError("refused")
        answer = client.request(method, url, **options)
        body = answer.request.content
        live.sizes.append(len(body))
        live.rows.append(len(json.loads(body)))
        return answer

    monkeypatch.setattr(httpx, "request", request)
    monkeypatch.delenv("CROSSMIX_TOKEN", raising=False)
    yield live
    live.store.close()


def invoke(file: Path) -> Any:
    return CliRunner().invoke(app, ["campaign", "import", str(file), "--reason", "the new year"])


def many(number: int) -> Iterator[dict[str, Any]]:
    for n in range(number):
        yield raw(f"campaign {n:05d}", cycle_budget=100.0 + n, share=SHARE, limits={})


def as_csv(file: Path, number: int) -> Path:
    with file.open("w", newline="") as stream:
        names = ["campaign_id", "currency", "cycle_budget", "starts", "cycles", "cycle_hours"]
        table = csv.writer(stream)
        table.writerow([*names, *(f"share.{name}" for name in SHARE)])
        for one in many(number):
            table.writerow([*(one[name] for name in names), *SHARE.values()])
    return file


def as_lines(file: Path, number: int) -> Path:
    file.write_text("".join(f"{json.dumps(one)}\n" for one in many(number)))
    return file


def as_array(file: Path, number: int) -> Path:
    file.write_text(json.dumps(list(many(number)), indent=1))
    return file


@pytest.mark.parametrize(
    ("write", "suffix", "number"), [(as_csv, "csv", 10_250), (as_lines, "jsonl", 1_100), (as_array, "json", 1_100)]
)
def test_a_file_of_any_size_goes_in_bounded_batches(
    live: Asked, tmp_path: Path, write: Callable[[Path, int], Path], suffix: str, number: int
) -> None:
    done = invoke(write(tmp_path / f"campaigns.{suffix}", number))
    assert (done.exit_code, done.stdout) == (0, f"{number:,} campaigns added; crossmix campaign list shows them\n")
    full, rest = divmod(number, BATCH_ROWS)
    assert live.rows == [*[BATCH_ROWS] * full, rest]
    assert max(live.sizes) <= BATCH_BYTES
    assert len(done.stderr.splitlines()) == full, "progress, but for the first batch, which may be the last"
    assert done.stderr.endswith(f"{number:,} rows, {number:,} added\n")
    known = load_all(live.store)
    assert len(known) == number
    assert [known[one["campaign_id"]].cycle_budget for one in many(number)] == [100.0 + n for n in range(number)]
    assert all(one.share == SHARE for one in known.values())
    with live.store.read() as connection:
        reasons = connection.execute(sa.select(tables.audit.c.reason, sa.func.count()).group_by(tables.audit.c.reason))
        assert reasons.all() == [("the new year", number)]


def test_an_import_that_was_cut_off_is_run_again(live: Asked, tmp_path: Path) -> None:
    """The server goes after two of three batches; the second run adds the third, and a third run adds nothing."""
    file = as_csv(tmp_path / "campaigns.csv", 1_200)
    live.away_after = 2
    cut = invoke(file)
    assert cut.exit_code == 2
    assert "the rows up to line 1,001 are done (1,000 added): run it again, nothing is added twice" in cut.stderr
    assert len(load_all(live.store)) == 1_000
    live.away_after = None
    again = invoke(file)
    said = "200 campaigns added, 1,000 were there already; crossmix campaign list shows them\n"
    assert (again.exit_code, again.stdout) == (0, said)
    before = load_all(live.store)
    assert len(before) == 1_200
    third = invoke(file)
    assert (third.exit_code, third.stdout.split(";")[0]) == (0, "0 campaigns added, 1,200 were there already")
    assert load_all(live.store) == before
    with live.store.read() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(tables.audit)).scalar() == 1_200


def test_an_answer_that_was_lost_is_no_row_that_was_lost(
    live: Asked, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The batch was written, and who sent it never heard of it."""
    file, asked = as_lines(tmp_path / "campaigns.jsonl", 3), httpx.request

    def lost(*args: Any, **options: Any) -> Any:
        asked(*args, **options)
        raise httpx.ReadError("reset")

    monkeypatch.setattr(httpx, "request", lost)
    assert invoke(file).exit_code == 2
    monkeypatch.setattr(httpx, "request", asked)
    assert invoke(file).stdout.startswith("0 campaigns added, 3 were there already;")


def test_rows_that_cannot_be_used_are_told_by_line_and_the_others_are_added(live: Asked, tmp_path: Path) -> None:
    """A cell with a line break moves the lines after it."""
    head = "campaign_id,currency,cycle_budget,starts,cycles,cycle_hours,share.search\n"
    good = "EUR,5,2026-01-05T00:00:00Z,7,24,1\n"
    text = f'{head}a,{good}"b\nb",{good}c,{good.replace("EUR", "euro")}d,EUR\na,{good}e,{good}'
    (tmp_path / "x.csv").write_text(text)
    done = invoke(tmp_path / "x.csv")
    assert done.exit_code == 2
    assert sorted(done.stderr.splitlines()) == [
        "error: line 3: campaign_id: 'b\\nb'; give 1 to 200 printable characters",
        "error: line 5: currency: 'euro'; give three capital letters, as EUR",
        "error: line 6: it has not as many cells as the header; mend it",
        "error: line 7: campaign_id: 'a' is row 1 too; give it one row",
    ]
    said = "2 campaigns added, 4 of 6 rows cannot be used: mend those and run it again; "
    assert done.stdout == f"{said}crossmix campaign list shows them\n"
    assert sorted(load_all(live.store)) == ["a", "e"]


def test_a_row_of_a_campaign_that_is_another_one_by_now_is_told(live: Asked, tmp_path: Path) -> None:
    file = as_lines(tmp_path / "campaigns.jsonl", 2)
    assert invoke(file).exit_code == 0
    changed = [{**one, "cycle_budget": 7.0, "cycles": 3} for one in many(1)]
    file.write_text("".join(f"{json.dumps(one)}\n" for one in [*changed, *list(many(2))[1:]]))
    done = invoke(file)
    assert done.stderr == (
        "error: line 1: campaign_id: 'campaign 00000' is there already with another cycle_budget, cycles; edit it or "
        "leave the row out\n"
    )
    assert done.stdout.startswith("0 campaigns added, 1 were there already, 1 of 2 rows cannot be used")
    assert load_all(live.store)["campaign 00000"].cycle_budget == 100.0


def test_lines_that_are_no_json_are_told_and_the_rest_goes_on(tmp_path: Path) -> None:
    file = tmp_path / "x.jsonl"
    file.write_text('{"a": 1}\n\n{"a":\n7\n')
    found = list(rows(file))
    assert [(one.line, one.campaign, one.fault is None) for one in found] == [
        (1, {"a": 1}, True),
        (3, None, False),
        (4, 7, True),
    ]
    assert str(found[1].fault).startswith("not JSON (")


def test_an_array_is_read_element_by_element(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever part of the file is read at once; lines are those on which elements begin."""
    file = tmp_path / "x.json"
    file.write_text('\n[ {"a": "[,]"},\n\n  {"b":\n {"c": [1, 2]}} ,{}\n]\n')
    for chunk in (1, 2, 7, 65_536):
        monkeypatch.setattr(importing, "CHUNK", chunk)
        assert list(rows(file)) == [Row(2, {"a": "[,]"}), Row(4, {"b": {"c": [1, 2]}}), Row(5, {})]
    file.write_text("[]")
    assert list(rows(file)) == []


def test_a_file_that_breaks_off_says_where_and_what_came_before_counts(tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    file.write_text('[{"a": 1},\n{"b": 2}\n{"c"')
    found = rows(file)
    assert [next(found), next(found)] == [Row(1, {"a": 1}), Row(2, {"b": 2})]
    with pytest.raises(AskError, match=r"x\.json: line 3: not JSON \(neither , nor \] after a campaign\); mend it"):
        next(found)


def test_batches_are_bounded_in_rows_and_in_bytes() -> None:
    small = [Row(n, {"a": n}) for n in range(2 * BATCH_ROWS + 1)]
    assert [len(batch) for batch in batches(iter(small))] == [BATCH_ROWS, BATCH_ROWS, 1]
    large = [Row(n, "x" * (BATCH_BYTES // 2 - 2)) for n in range(5)]
    assert [[row.line for row in batch] for batch in batches(iter(large))] == [[0, 1], [2, 3], [4]]
    assert [len(batch) for batch in batches(iter([Row(1, "x" * 2 * BATCH_BYTES), Row(2, "y")]))] == [1, 1]
    assert list(batches(iter(()))) == []
