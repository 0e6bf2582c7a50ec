"""Spellings of a name that are one, and names that are two."""

from __future__ import annotations

import unicodedata

import pytest

from crossmix.sources.history.names import categories, settle

ONE = {
    "case": ["meta", "Meta", "META"],
    "signs": ["google_search", "Google Search", "google-search"],
    "no blank": ["TikTok", "Tik Tok", "tik-tok"],
    "floats of a table": ["23847111222330111", "23847111222330111.0", "23847111222330111.00"],
    "unseen": ["meta", "meta\u200b", "\ufeffmeta"],
    "wide letters": ["meta", "ｍｅｔａ"],
    "composed": ["Búsqueda", unicodedata.normalize("NFD", "Búsqueda")],
}


@pytest.mark.parametrize("kind", ONE)
def test_spellings_are_one_name(kind: str) -> None:
    settled, _ = settle([*ONE[kind], ONE[kind][0], ONE[kind][0]], "platform")
    assert set(settled) == {ONE[kind][0]}


def test_names_that_differ_in_digits_stay() -> None:
    names = ["2.0", "20", "v2.0", "v2", "Meta 1", "Meta 11", "Meta 1 1", "A 1 2", "A 12"]
    assert settle(names, "campaign") == (names, [])


def test_categories_are_the_names_in_order() -> None:
    texts = ["meta", "Google", "", "meta", "über", "tiktok", "Google"]
    found = categories(texts)
    assert list(found) == texts
    assert list(found.categories) == sorted(set(texts))
