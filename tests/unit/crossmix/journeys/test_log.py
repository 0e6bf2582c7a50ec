from __future__ import annotations

import hashlib

import numpy as np
import pandas as pd
import pytest

from crossmix.journeys.log import NEVER, JourneyError, of_frame, propensities, uniform
from tests.support.journeys import CHANNELS, events, frame


def test_exposures_are_in_order_whatever_the_order_of_rows() -> None:
    table = frame()
    read = of_frame(table, CHANNELS)
    again = of_frame(table.iloc[::-1].reset_index(drop=True), CHANNELS)
    ordered = table.sort_values(["user_id", "timestamp", "impression_id"])
    for one in (read, again):
        assert [one.users[code] for code in one.user_R] == list(ordered["user_id"])
        assert [CHANNELS[code] for code in one.channel_R] == list(ordered["platform"])
        np.testing.assert_array_equal(one.clicked_R, ordered["clicked"])
    assert list(table["impression_id"].iloc[read.row_R]) == list(ordered["impression_id"])


def test_a_conversion_is_known_at_its_own_time_and_one_without_a_time_never() -> None:
    table = frame()
    sold = table.index[table["converted"]]
    table.loc[sold[0], "conversion_timestamp"] = pd.NaT
    read = of_frame(table, CHANNELS)
    assert (read.known_R[~read.converted_R] == NEVER).all()
    delay = read.known_R[read.converted_R] - read.seconds_R[read.converted_R]
    assert np.isinf(delay).sum() == 1
    np.testing.assert_allclose(delay[np.isfinite(delay)], 900)


def test_the_last_exposure_of_a_user_has_no_next() -> None:
    read = events()
    counts = np.bincount(read.user_R)
    assert (~read.has_next_R).sum() == len(counts)
    assert (~read.has_next_R)[np.cumsum(counts) - 1].all()


def test_strange_channels_and_numbers_are_refused_by_name() -> None:
    table = frame()
    with pytest.raises(JourneyError, match=r"platform: 'c' is no channel.*use one of a, b"):
        of_frame(table, ("a", "b"))
    table.loc[3, "price_paid"] = np.nan
    with pytest.raises(JourneyError, match="cost: not a finite number"):
        of_frame(table, CHANNELS)


def test_users_are_hashed_as_ingest_does() -> None:
    ids = [f"u{number}" for number in range(2_000)]
    draw = uniform(ids, "holdout ")
    assert draw[7] == int(hashlib.md5(b"holdout u7").hexdigest()[:8], 16) / 2**32
    assert np.mean(draw < 0.4) == pytest.approx(0.4, abs=0.04)


@pytest.mark.parametrize("name", ["conversion", "attribution", "click_nb", "cpo"])
def test_a_table_with_a_column_that_is_written_later_is_refused(name: str) -> None:
    with pytest.raises(JourneyError, match=f"^{name}: .*written later"):
        of_frame(frame(3).assign(**{name: 1}), CHANNELS)


@pytest.mark.parametrize("value", [0.0, -0.1, 1.3, np.inf])
def test_a_propensity_that_is_no_probability_above_0_is_named(value: float) -> None:
    table = frame(3).assign(propensity=0.5)
    table.loc[4, "propensity"] = value
    named = table["impression_id"].iloc[4]
    with pytest.raises(
        JourneyError, match=rf"^propensity: {value:g} in row 4 \(impression_id '{named}'\).*leave it emp"
    ):
        propensities(table)


def test_propensities_are_optional_by_log_and_by_row() -> None:
    table = frame(3)
    assert np.isnan(propensities(table)).all()
    table["propensity"] = [1.0, None, *[0.25] * (len(table) - 2)]
    found = propensities(table)
    assert np.isnan(found[1])
    assert set(np.delete(found, 1)) == {1.0, 0.25}
