"""The metrics: each is the ratio that its words say, once."""

from __future__ import annotations

import numpy as np
import pytest

from crossmix import metrics

AMOUNTS = {"planned": 200.0, "spend": 150.0, "impressions": 1000, "clicks": 50, "conversions": 5, "revenue": 300.0}


def test_ratios_of_a_row() -> None:
    assert metrics.ratios(AMOUNTS) == {
        "roi": 1.5,
        "roas": 2.0,
        "cpa": 30.0,
        "cpc": 3.0,
        "ctr": 0.05,
        "cvr": 0.1,
        "utilisation": 0.75,
    }


@pytest.mark.parametrize("absent", metrics.AMOUNTS)
def test_what_has_nothing_to_divide_by_is_undefined_and_the_rest_stands(absent: str) -> None:
    found = metrics.ratios(AMOUNTS | {absent: 0})
    for key, value in found.items():
        assert (value is None) == (metrics.METRIC[key].denominator == absent)


def test_arrays_divide_as_they_are() -> None:
    amounts = {"spend": np.array([1.0, 6.0]), "planned": np.array([2.0, 8.0])}
    assert metrics.METRIC["utilisation"].divide(amounts).tolist() == [0.5, 0.75]


def test_the_words_of_a_formula_name_its_quantities() -> None:
    words = {"planned": "planned budget", "conversions": "conversion", "clicks": "click", "impressions": "impression"}
    for key in metrics.RATIOS:
        metric = metrics.METRIC[key]
        top, bottom = metric.definition.split(" / ")
        assert top.startswith(words.get(metric.numerator, metric.numerator))
        assert bottom.startswith(words.get(metric.denominator, metric.denominator))


def test_each_metric_says_how_it_is_written_and_which_change_is_better() -> None:
    assert {key: (metric.format, metric.direction) for key, metric in metrics.METRIC.items()} == {
        "roi": ("ratio", "more"),
        "roas": ("ratio", "more"),
        "cpa": ("money", "less"),
        "cpc": ("money", "less"),
        "ctr": ("percent", "none"),
        "cvr": ("percent", "none"),
        "utilisation": ("percent", "none"),
        "share": ("percent", "none"),
    }


def test_every_key_has_one_label() -> None:
    keys = [*metrics.METRIC, *metrics.QUANTITY]
    assert len(set(keys)) == len(keys)
    assert len({metrics.title(key) for key in keys}) == len(keys)
    assert metrics.title("roi") == "ROI"
    assert metrics.title("planned") == "Planned budget"
    assert set(metrics.JUDGED) <= set(metrics.RATIOS)


def test_labels_within_a_sentence() -> None:
    assert [metrics.inside(key) for key in ("roi", "utilisation", "planned")] == [
        "ROI",
        "utilisation",
        "planned budget",
    ]


def test_formulas_read_as_a_sentence() -> None:
    sentence = metrics.formula("roas", "cpa", "utilisation")
    assert sentence == "ROAS is revenue / spend, CPA spend / conversion, utilisation spend / planned budget"
