"""JSON of APIs and tools is read as the table that it holds; what is none is a sentence with its remedy."""

from __future__ import annotations

import gzip
import json
import random
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from crossmix.schema import DataError
from crossmix.sources.history import json_tables, json_text
from tests.support.json_exports import FIGURES, google_rows, meta_rows, shapes
from tests.unit.crossmix.sources.history.test_load import PLAIN, assert_same, taken, written

SHAPES = shapes(PLAIN)
AS_PLATFORM = "data.columns.platform=campaign.name"
META = {"data": meta_rows(PLAIN)}


def saved(folder: Path, document: object, name: str = "history.json") -> Path:
    return written(folder, json.dumps(document), name)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_table_in_any_shape(shape: str, tmp_path: Path) -> None:
    assert_same(taken(written(tmp_path, SHAPES[shape], "history.json")))


@pytest.mark.parametrize("name", ["h.json", "h.jsonl", "h.ndjson", "h.csv", "h"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzipped"])
def test_by_any_name_and_gzipped(name: str, pack: type[bytes], tmp_path: Path) -> None:
    ending = "" if pack is bytes else ".gz"
    assert_same(taken(written(tmp_path, pack(SHAPES["lines"].encode()), name + ending)))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
def test_in_another_encoding(encoding: str, tmp_path: Path) -> None:
    renamed = PLAIN.assign(platform=PLAIN["platform"].replace("search", "Übersuche"))
    text = json.dumps(renamed.to_dict("records"), ensure_ascii=False)
    assert_same(taken(written(tmp_path, text.encode(encoding), "h.json")), renamed)


def test_pages_of_a_search_stream_are_one(tmp_path: Path) -> None:
    rows = google_rows(PLAIN)
    pages = [{"results": rows[at : at + 30], "fieldMask": "a", "requestId": str(at)} for at in range(0, 80, 30)]
    history = taken(saved(tmp_path, pages), AS_PLATFORM)
    assert_same(history)
    assert "Spend is in micros ('metrics.costMicros') and divided by 1,000,000." in history.notes


def test_a_folder_and_an_archive_of_it(tmp_path: Path) -> None:
    folder = tmp_path / "exports"
    folder.mkdir()
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name, rows in PLAIN.groupby("platform"):
            text = rows.drop(columns="platform").to_json(orient="records")
            archive.writestr(f"{name}.json", text)
            (folder / f"{name}.json").write_text(text)
        archive.writestr("request.json", '{"fields": {"level": "campaign"}}')
    (folder / "request.json").write_text('{"fields": {"level": "campaign"}}')
    for path in (folder, tmp_path / "a.zip"):
        history = taken(path)
        assert_same(history)
        assert any(
            note.startswith("Left out, as no table of spend is in it: ") and "request.json" in note
            for note in history.notes
        )


def test_numbers_are_read_as_they_stand(tmp_path: Path) -> None:
    """Three decimals are no thousands, and long numbers are not rounded."""
    rows = PLAIN.assign(spend=20.125 + PLAIN.index % 50, campaign=12345678901234567890)
    history = taken(saved(tmp_path, json.loads(rows.to_json(orient="records"))))
    assert_same(history, rows)
    assert set(history.columns["campaign"]) == {"12345678901234567890"}


def test_names_above_records_are_days_and_a_column(tmp_path: Path) -> None:
    by_day = {
        day: {row["platform"]: {name: row[name] for name in FIGURES} for row in own.to_dict("records")}
        for day, own in PLAIN.groupby("date")
    }
    assert_same(taken(saved(tmp_path, by_day), "data.columns.platform=key"))


def test_not_a_number_is_no_value(tmp_path: Path) -> None:
    rows = PLAIN.assign(revenue=PLAIN["revenue"].where(PLAIN.index != 3))
    history = taken(written(tmp_path, json.dumps(rows.to_dict("records")), "h.json"))
    assert history.columns["revenue"].count("") == 1


def test_the_action_that_counts_is_the_purchase_and_its_value(tmp_path: Path) -> None:
    history = taken(saved(tmp_path, META))
    assert_same(history)
    assert any("Conversions are the action 'omni_purchase'" in note for note in history.notes)


def test_several_actions_that_may_count_are_asked(tmp_path: Path) -> None:
    path = saved(tmp_path, {"data": meta_rows(PLAIN, lead="7")})
    with pytest.raises(DataError, match=r"'purchase' [\d,]+, 'lead' 560\).*--map conversions=actions\.purchase\)"):
        taken(path)
    assert_same(taken(path, "data.columns.conversions=actions.purchase"))
    leads = taken(path, "data.columns.conversions=actions.lead", "data.value_per_conversion=40")
    assert set(leads.columns["conversions"]) == {"7"}
    assert set(leads.columns["revenue"]) == {"280"}


def test_an_action_told_twice_is_asked(tmp_path: Path) -> None:
    rows = meta_rows(PLAIN)
    rows[4]["actions"] += [{"action_type": "link_click", "value": "3", "action_device": "iphone"}]
    with pytest.raises(DataError, match=r"actions: a record has 'link_click' twice \(\d+ and 3\)"):
        taken(saved(tmp_path, {"data": rows}))


def test_lists_of_records_beside_figures_do_not_repeat_them(tmp_path: Path) -> None:
    """A record's money counts once, however many records lie in it."""
    rows = [row | {"ads": [{"id": "1", "label": "a"}, {"id": "2", "label": "b"}]} for row in PLAIN.to_dict("records")]
    history = taken(saved(tmp_path, rows))
    assert_same(history)
    assert "Lists of records within the records of 'history' are not read: 'ads'." in history.notes


def test_a_list_that_is_not_the_whole_of_its_record_is_asked(tmp_path: Path) -> None:
    rows = [
        {"date": day, "spend": float(own["spend"].sum()) * 1.5, "by": own.drop(columns="date").to_dict("records")}
        for day, own in PLAIN.groupby("date")
    ]
    with pytest.raises(DataError, match=r"spend: records have [\d,.]+ in all, and those of their list 'by' [\d,.]+;"):
        taken(saved(tmp_path, rows))


def test_a_first_page_is_told_and_all_pages_are_read(tmp_path: Path) -> None:
    rows = meta_rows(PLAIN)
    first = {"data": rows[:40], "paging": {"cursors": {"after": "b"}, "next": "https://graph.facebook.com/next"}}
    with pytest.raises(DataError, match=r"meta_page1\.json' is the first page only \(paging\.next names more\); fetch"):
        taken(saved(tmp_path, first, "meta_page1.json"))
    saved(tmp_path, {"data": rows[40:], "paging": {"cursors": {"after": "c"}}}, "meta_page2.json")
    history = taken(tmp_path)
    assert_same(history)
    told = [note for note in history.notes if note.startswith("Conversions are the action 'omni_purchase'")]
    assert told == [
        f"Conversions are the action 'omni_purchase' ({PLAIN['conversions'].sum():,.0f} in all); "
        f"actions.purchase {PLAIN['conversions'].sum():,.0f} tell the same."
    ]


def test_pages_count_one_action(tmp_path: Path) -> None:
    """Of a page that names purchases alone, and of one that names leads alone, one is asked for as of both together."""
    first = (np.arange(len(PLAIN)) // 2) % 2 == 0
    pages = {"meta_page1.json": (first, "purchase"), "meta_page2.json": (~first, "lead")}
    for page, (kept, kind) in pages.items():
        rows = meta_rows(PLAIN[kept], lead="7")
        for row in rows:
            for name in ("actions", "action_values"):
                row[name] = [one for one in row[name] if one["action_type"] in ("link_click", kind)]
        saved(tmp_path, {"data": rows}, page)
    with pytest.raises(DataError, match=r"'purchase' [\d,]+, 'lead' 280\).*--map conversions=actions\.purchase\)"):
        taken(tmp_path)
    history = taken(tmp_path, "data.columns.conversions=actions.purchase")
    for name in ("conversions", "revenue"):
        assert sum(float(text or 0) for text in history.columns[name]) == pytest.approx(PLAIN.loc[first, name].sum())


def test_pages_that_name_actions_in_another_order_count_the_same_one(tmp_path: Path) -> None:
    """Of two that come to the same in all it is one, whichever a page names first."""
    sold, half = PLAIN["conversions"].to_numpy(), len(PLAIN) // 2
    assert sold[:half].sum() != sold[half:].sum()
    rows = meta_rows(PLAIN)
    for at, row in enumerate(rows):
        counts = {"web_in_store_purchase": sold[at], "onsite_web_purchase": sold[::-1][at]}
        named = list(counts) if at < half else list(counts)[::-1]
        row["actions"] = [{"action_type": kind, "value": str(counts[kind])} for kind in named]
        row["action_values"] = [{"action_type": kind, "value": str(10 * counts[kind])} for kind in named]
    saved(tmp_path, {"data": rows[:half]}, "meta_page1.json")
    saved(tmp_path, {"data": rows[half:]}, "meta_page2.json")
    history = taken(tmp_path)
    assert sum(float(text or 0) for text in history.columns["conversions"]) == sold.sum()
    assert [note for note in history.notes if note.startswith("Conversions are the action ")] == [
        f"Conversions are the action 'web_in_store_purchase' ({sold.sum():,.0f} in all); "
        f"actions.onsite_web_purchase {sold.sum():,.0f} tell the same."
    ]


def test_an_empty_list_of_what_follows_is_the_last_page(tmp_path: Path) -> None:
    assert_same(taken(saved(tmp_path, {"data": meta_rows(PLAIN), "paging": {"next": []}})))


TOLD = {
    "token": {"results": google_rows(PLAIN), "nextPageToken": "CAE"},
    "number": {"code": 0, "data": {"list": PLAIN.to_dict("records"), "page_info": {"page": 1, "total_page": 3}}},
    "total": {"elements": PLAIN.to_dict("records"), "paging": {"start": 0, "count": 80, "total": 120}},
    "link": {"elements": PLAIN.to_dict("records"), "paging": {"links": [{"rel": "next", "href": "/x"}]}},
    "list": [{"data": meta_rows(PLAIN), "paging": {"next": "https://graph.facebook.com/next"}}],
}


@pytest.mark.parametrize("kind", TOLD)
def test_what_tells_of_more_pages(kind: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"is the first page only"):
        taken(saved(tmp_path, TOLD[kind]), *([AS_PLATFORM] if kind == "token" else []))


NONE = {
    "Meta's error": (
        {"error": {"message": "Error validating access token", "type": "OAuthException", "code": 190}},
        r"is an API's error message and no rows \('Error validating access token'\); mend the request and fetch",
    ),
    "Google's error": ([{"error": {"code": 401, "message": "Request had invalid"}}], r"\('Request had invalid'\)"),
    "TikTok's error": ({"code": 40105, "message": "Access token is incorrect", "data": {}}, r"\('Access token is"),
    "error beside rows": ({"data": meta_rows(PLAIN), "errors": [{"message": "timeout"}]}, r"\('timeout'\)"),
    "no rows": ({"data": [], "paging": {}}, r"has an empty list in place of rows; ask for days"),
    "empty": ([], r"has an empty list in place of rows"),
    "configuration": ({"level": "campaign", "fields": {"a": {"b": [1, 2]}}}, r"is JSON without a table .*\.csv"),
    "columns of two lengths": (
        PLAIN.to_dict("list") | {"clicks": [1, 2]},
        r"its columns have different numbers of values \(date 80, .*clicks 2",
    ),
    "no record": ([*PLAIN.to_dict("records"), 5], r"in the list of records number 81 \('5'\) is no record"),
    "no cells": (
        {"columns": list(PLAIN), "data": [*PLAIN.to_numpy().tolist(), "end"]},
        r"in the list of rows number 81 \('end'\) is no list of cells",
    ),
    "a sign in place of cells": (
        {"columns": list(PLAIN), "data": [*PLAIN.to_numpy().tolist(), True]},
        r"in the list of rows number 81 \('true'\) is no list of cells",
    ),
    "no platform": (google_rows(PLAIN), r"platform: column is missing.*--map platform=NAME"),
    "many fields": ([{f"id{at}": 1, "date": "x", "spend": 1} for at in range(2_100)], r"2,102 names of fields"),
}


@pytest.mark.parametrize("kind", NONE)
def test_what_is_no_table_is_a_sentence(kind: str, tmp_path: Path) -> None:
    document, message = NONE[kind]
    with pytest.raises(DataError, match=message):
        taken(saved(tmp_path, document))


BROKEN = {
    "cut off": (
        SHAPES["meta"][:-300],
        r"is JSON that cannot be read \(.*line 1, column [\d,]+\); it may have been cut",
    ),
    "a line cut off": (SHAPES["lines"][:-40], r"is JSON that cannot be read \(.*line 80, column"),
    "a field twice": ('[{"date": "2025-01-06", "spend": 1, "spend": 2}]', r"spend: a record of .* has it twice"),
    "deep": ("[" * 5_000 + "]" * 5_000, r"is JSON nested too deeply"),
    "python": ("[{'date': '2025-01-06', 'spend': 3}]", r"is JSON that cannot be read \(Expecting property name"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_what_is_damaged_is_a_sentence(kind: str, tmp_path: Path) -> None:
    text, message = BROKEN[kind]
    with pytest.raises(DataError, match=message):
        taken(written(tmp_path, text, "h.json"))


def test_a_row_of_cells_that_is_null_is_left_out(tmp_path: Path) -> None:
    rows = PLAIN.to_numpy().tolist()
    assert_same(taken(saved(tmp_path, {"columns": list(PLAIN), "data": [*rows[:60], None, *rows[60:], None]})))


def test_lists_within_lists_are_gone_down_into_only_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each level asks all below it more than once: a small file of many would not end."""
    looked: list[object] = []
    flat = json_tables.flat
    monkeypatch.setattr(json_tables, "flat", lambda record: looked.append(record) or flat(record))

    def rows(levels: int) -> int:
        node: dict[str, object] = dict.fromkeys(PLAIN, "1")
        for _ in range(levels):
            node = {"part": [node]}
        (sheet,) = json_tables.read(json.dumps([node, node]), "h.json", "h", lambda cells: len({*cells} & {*PLAIN}))
        return len(sheet.rows) if sheet.header == list(PLAIN) else 0

    assert rows(json_tables.LISTS) == 2
    assert rows(9) == 0
    assert len(looked) < 1_000


def test_many_records_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_tables, "ROWS", 79)
    monkeypatch.setattr(json_text, "ROWS", 79)
    for shape in ("pandas records", "lines", "apple"):
        with pytest.raises(DataError, match=r"more than 79 records; add them up to days"):
            taken(written(tmp_path, SHAPES[shape], "h.json"))


ODD = (None, True, {}, [], {"a": 1}, [1, 2], "", float("nan"), float("inf"), 10**400, -5, "\ud800", "x\0y", [{"x": 1}])


def _bent(node: object, rng: random.Random) -> object:
    """A document with some of its values exchanged, left out or under another name."""
    if isinstance(node, dict):
        kept = {key: value for key, value in node.items() if rng.random() > 0.005}
        return {rng.choice(["spend", ""]) if rng.random() < 0.003 else k: _bent(v, rng) for k, v in kept.items()}
    if isinstance(node, list):
        return [_bent(one, rng) for one in node if rng.random() > 0.003]
    return rng.choice(ODD) if rng.random() < 0.005 else node


@pytest.mark.parametrize("seed", range(40_000, 40_015))
def test_whatever_is_wrong_with_it_no_traceback(seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)
    text = SHAPES[rng.choice([name for name in SHAPES if name not in {"lines", "airbyte"}])]
    content = json.dumps(_bent(json.loads(text), rng)).encode()
    if seed % 3 == 0:
        content = bytes(byte if rng.random() > 1e-3 else rng.randrange(256) for byte in content)
    with suppress(DataError):
        assert taken(written(tmp_path, content, "h.json")).columns["date"]
