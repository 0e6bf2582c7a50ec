"""Tables: whatever bytes come, they are read or told in one sentence."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossmix.creators import catalogue, columns, generated
from crossmix.schema import DataError

PATH = Path("t.csv")


def _parse(text: str | bytes) -> columns.Columns:
    content = text.encode() if isinstance(text, str) else text
    return columns.parse(content, PATH, ("a", "b"), ("c",), "row")


def test_lines_numbers_and_columns() -> None:
    table = _parse("\ufeff\nb, a ,other\r\n 1 ,x,9\r\n\r\n2.5,y\r\n")
    assert table.line_N.tolist() == [3, 5]
    assert list(table.text) == ["a", "b"]
    assert table.text["a"].tolist() == ["x", "y"]
    assert table.numbers("b").tolist() == [1, 2.5]
    with pytest.raises(DataError, match=r"line 3: b: '1' is not above 1; mend it \(1 further lines too\)"):
        _parse("b,a\n\n1,x\n0,y\n").numbers("b", above=1, remedy="mend it")


def test_what_may_be_empty() -> None:
    table = _parse("a,b,c\nx,1,\ny,2,3\n")
    assert np.isnan(table.numbers("c", optional=True)).tolist() == [True, False]
    with pytest.raises(DataError, match="line 2: c: '' is no number"):
        table.numbers("c")


def test_long_values_are_cut() -> None:
    with pytest.raises(DataError) as told:
        _parse(f"a,b\nx,{'9' * 10_000}z\n").numbers("b")
    assert len(str(told.value)) < 200


MADE = generated.demo(50, seed=5).catalogue


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("c") / "made.csv"
    catalogue.write(MADE, path)
    return path.read_bytes()


@given(st.lists(st.tuples(st.floats(0, 1), st.binary(max_size=3), st.integers(0, 30)), min_size=1, max_size=4))
@settings(max_examples=60, deadline=None)
def test_a_damaged_catalogue_is_read_or_told(
    tmp_path_factory: pytest.TempPathFactory, written: bytes, damage: list[tuple[float, bytes, int]]
) -> None:
    content = written
    for part, put, drop in damage:
        at = int(part * len(content))
        content = content[:at] + put + content[at + drop :]
    path = tmp_path_factory.getbasetemp() / "damaged.csv"
    path.write_bytes(content)
    told: list[str] = []
    try:
        got = catalogue.read(path)
    except DataError as error:
        told.append(str(error))
    if told:
        assert "\n" not in told[0]
        return
    assert 0 < len(got) <= len(MADE) + 5
    assert (got.price_N > 0).all()
    assert np.isfinite(got.result_E).all()
