"""Catalogues: what is written is read back, and what cannot be read is told with line, field, value and remedy."""

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from crossmix.creators import generated
from crossmix.creators.catalogue import read, write
from crossmix.schema import DataError

HEADER = "creator_id,channel,followers,price,interaction_rate,audience_quality,content_type,categories,past_results\n"
GOOD = "a,tiktok,1000,50,0.1,0.9,video,beauty;food,12;9.5\nb,instagram,2000,80,0.05,1,post,,\n"


def _read(tmp_path: Path, text: str):
    path = tmp_path / "creators.csv"
    path.write_text(text)
    return read(path)


def test_columns_are_read(tmp_path: Path) -> None:
    got = _read(tmp_path, HEADER + GOOD)
    assert got.ids == ("a", "b")
    assert [got.channels[at] for at in got.channel_N] == ["tiktok", "instagram"]
    assert got.price_N.tolist() == [50, 80]
    assert got.of_category("food").tolist() == [True, False]
    assert got.of_category(None).all()
    assert (got.of_E.tolist(), got.result_E.tolist()) == ([0, 0], [12, 9.5])
    assert got.currency is None
    assert not got.generated


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    made = generated.demo(60, seed=3).catalogue
    write(made, tmp_path / "made.csv")
    got = read(tmp_path / "made.csv")
    for field in fields(made):
        left, right = getattr(made, field.name), getattr(got, field.name)
        if field.name in ("member_G", "category_G"):
            continue
        assert np.array_equal(left, right) if isinstance(left, np.ndarray) else left == right, field.name
    for name in made.categories:
        assert (made.of_category(name) == got.of_category(name)).all()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (HEADER + GOOD + "a,tiktok,1,1,0.1,1,post,,\n", "line 4: creator_id: 'a' is there twice"),
        (HEADER + GOOD.replace(",0.1,", ",10.3,"), "interaction_rate: '10.3' is above 1; write a share, 0.103"),
        (HEADER + GOOD.replace("1000,50", "1000,free"), "line 2: price: 'free' is no number"),
        (HEADER + GOOD.replace("1000,50", "1000,0"), "line 2: price: '0' is not above 0"),
        (HEADER + GOOD.replace("2000,80", "inf,80"), "line 3: followers: 'inf' is no number"),
        (HEADER + GOOD.replace("0.9", "-0.9"), "audience_quality: '-0.9' is below 0"),
        (HEADER + GOOD.replace("12;9.5", "12;-3"), "line 2: past_results: '-3' is no effect"),
        (HEADER + GOOD.replace("12;9.5", "12;nan"), "past_results: 'nan' is no effect"),
        (HEADER + GOOD.replace("tiktok", ""), "line 2: channel: '' is empty"),
        (HEADER.replace("price", "prize") + GOOD, "column 'prize' is unknown; rename it to price"),
        (HEADER.replace("past_results", "past_result") + GOOD, "column 'past_result' is unknown; rename it"),
        (HEADER.replace(",price", "") + GOOD.replace(",50,", ",").replace(",80,", ","), "column price is missing"),
        (HEADER, "has no creator"),
        ("", "not a table"),
        (HEADER + GOOD.replace("1000,50", "1000,50,5"), "not a table of comma-separated values (Expected 9 fields"),
        (HEADER.replace(",", ";") + GOOD, "its columns have ; between them; save it as CSV with commas"),
        (HEADER + "\n\n" + GOOD.replace("1000,50", "1000,0"), "line 4: price: '0' is not above 0"),
        ("\n \n" + HEADER + GOOD.replace("1000,50", "1000,0"), "line 4: price: '0' is not above 0"),
        (HEADER.replace("past_results", "price") + GOOD, "column 'price' is there twice; drop one"),
        (HEADER + GOOD.replace("12;9.5", "1e99"), "line 2: past_results: '1e99' is no effect"),
        (HEADER + GOOD.replace("1000,50", "1000,1e99"), "line 2: price: '1e99' is above 1e+15"),
        (HEADER + GOOD.replace("1000,50", "1000,5\0"), "it has bytes of 0; save it as CSV UTF-8"),
    ],
)
def test_what_cannot_be_read_is_told(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(DataError) as told:
        _read(tmp_path, text)
    assert says in str(told.value)


def test_a_first_line_of_too_many_values_moves_no_column(tmp_path: Path) -> None:
    """A decimal comma in every line: pandas would take the first column for row names."""
    lines = "".join(f"c{at},tiktok,1000,50,0,1,0.9,video,beauty,12\n" for at in range(3))
    with pytest.raises(DataError, match="Expected 9 fields in line 2, saw 10"):
        _read(tmp_path, HEADER + lines)


def test_that_laws_made_it_is_kept(tmp_path: Path) -> None:
    header, lines = HEADER.replace("past_results", "generated"), GOOD.replace("12;9.5", "yes")
    assert _read(tmp_path, header + lines).generated
    assert not _read(tmp_path, header + lines.replace("yes", "no")).generated
    with pytest.raises(DataError, match="line 2: generated: 'perhaps' is neither yes nor no"):
        _read(tmp_path, header + lines.replace("yes", "perhaps"))


def test_two_currencies_are_refused(tmp_path: Path) -> None:
    lines = [
        HEADER.strip() + ",currency",
        *(f"{line},{c}" for line, c in zip(GOOD.split(), ("EUR", "USD"), strict=True)),
    ]
    with pytest.raises(DataError, match="line 3: currency: 'USD' is not the first line's 'EUR'"):
        _read(tmp_path, "\n".join(lines))


def test_results_are_added() -> None:
    made = generated.demo(20, seed=1).catalogue
    more = made.with_results({"c000003": [5.0, 7.0]})
    assert len(more.result_E) == len(made.result_E) + 2
    assert {5.0, 7.0} <= set(more.result_E[more.of_E == 3])
    assert (np.diff(more.of_E) >= 0).all()
    with pytest.raises(DataError, match="'nobody' is not in the catalogue"):
        made.with_results({"nobody": [1.0]})
    with pytest.raises(DataError, match=r"-1\.0 of 'c000003' is no effect"):
        made.with_results({"c000003": [-1.0]})
