from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from crossmix.journeys.later import WRITTEN_LATER, refuse
from crossmix.journeys.layout import Field, Layout, of_log
from crossmix.journeys.log import Events, JourneyError
from serving.kinds.journey import events as events_asked
from serving.protocol.journey_request import of_instances
from tests.support.journeys import CHANNELS, events


def plainly(of: Events, layout: Layout) -> np.ndarray:
    """The features by their words, step by step."""
    rows = []
    for row in range(len(of)):
        own = [at for at in range(row + 1) if of.user_R[at] == of.user_R[row]]
        far, near = own[-layout.memory :], own[-layout.lately :]
        known = sum(of.known_R[at] <= of.seconds_R[row] for at in range(len(of)) if of.user_R[at] == of.user_R[row])
        gap = of.seconds_R[row] - of.seconds_R[own[-2]] if len(own) > 1 else 0.0
        here = [float(of.channel_R[row] == code) for code in range(len(CHANNELS))]
        here += [float(of.clicked_R[row]), np.log1p(known), np.log1p(of.cost_R[row] / layout.cost_unit), np.log1p(gap)]
        for part in (far, near):
            here += [np.mean([of.channel_R[at] == code for at in part]) for code in range(len(CHANNELS))]
        here += [np.mean(of.clicked_R[far]), np.mean(of.clicked_R[near]), np.log1p(len(far))]
        rows.append(here)
    return np.array(rows)


def test_features_are_what_their_names_say() -> None:
    of = events(8, least=1)
    layout = of_log(of, memory=7, lately=3)
    found = layout.features(of)
    assert found.shape == (len(of), layout.size)
    assert np.isfinite(of.known_R).sum() >= 5, "the case has conversions to know of"
    np.testing.assert_allclose(found, plainly(of, layout), rtol=1e-5, atol=1e-6)


def test_no_feature_depends_on_a_later_exposure() -> None:
    of = events(6, least=12)
    layout = Layout(CHANNELS)
    before = layout.features(of)
    changed = of.first_R + 8 <= np.arange(len(of))
    other = replace(
        of,
        channel_R=np.where(changed, (of.channel_R + 1) % 3, of.channel_R),
        clicked_R=of.clicked_R ^ changed,
        cost_R=of.cost_R + changed,
        seconds_R=of.seconds_R + 1e7 * changed,
        known_R=np.where(changed, of.known_R + 1e7, of.known_R),
        revenue_R=of.revenue_R + changed,
    )
    after = layout.features(other)
    np.testing.assert_array_equal(before[~changed], after[~changed])
    assert (before[changed] != after[changed]).any(axis=1).all()


def test_a_conversion_counts_from_when_it_is_known() -> None:
    steps = [{"channel": "a", "clicked": True, "cost": 1, "seconds_ago": ago} for ago in (300, 200, 100)]
    body = {"instances": [{"campaign_id": "c", "journey": steps}] * 2}
    of = events_asked(of_instances(body, CHANNELS), CHANNELS)
    known = of.known_R.copy()
    known[0] = of.seconds_R[1]
    layout = Layout(CHANNELS)
    found = layout.features(replace(of, known_R=known))[:, layout.index("converted")]
    np.testing.assert_allclose(found, [0, np.log(2), np.log(2), 0, 0, 0], rtol=1e-6)


def test_who_passes_the_memory_gets_what_training_saw() -> None:
    of = events(5, least=25)
    layout = Layout(CHANNELS, memory=10)
    whole = layout.features(of)
    late = (np.arange(len(of)) - of.first_R) >= (np.bincount(of.user_R) - 10)[of.user_R]
    short = layout.features(of.rows(np.flatnonzero(late)))
    names = [one.name for one in layout.fields]
    # The first step's gap, and conversions of dropped steps, are what a cut journey cannot tell.
    kept = [at for at, name in enumerate(names) if name not in ("converted", "log_gap")]
    lasts = np.append(np.flatnonzero(np.diff(of.user_R)), len(of) - 1)
    np.testing.assert_allclose(whole[lasts][:, kept], short[9::10][:, kept], rtol=1e-6)


@pytest.mark.parametrize("name", ["conversion", "attribution", "click_nb", "cpo"])
def test_what_is_written_later_is_refused_by_name(name: str) -> None:
    with pytest.raises(JourneyError, match=f"^{name}: .*written later"):
        refuse(["cost", name])
    with pytest.raises(JourneyError, match=f"^{name}: "):
        Layout(CHANNELS).index(name)
    assert not WRITTEN_LATER.keys() & {one.name for one in Layout(CHANNELS).fields}


@pytest.mark.parametrize("name", ["conversion", "attribution", "click_nb", "cpo"])
def test_no_layout_can_have_a_feature_that_is_written_later(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A layout builds the steps of training, of Feast's view and of a request, and comes back from a bundle."""
    plain, fields = Layout(CHANNELS).to_dict(), Layout(CHANNELS).fields
    monkeypatch.setattr(Layout, "fields", property(lambda _: (*fields, Field(name, True))))
    for make in (lambda: Layout(CHANNELS), lambda: of_log(events(3)), lambda: Layout.from_dict(plain)):
        with pytest.raises(JourneyError, match=f"^{name}: .*written later"):
            make()


def test_a_layout_comes_back_from_json_with_its_digest() -> None:
    layout = Layout(CHANNELS, memory=12, cost_unit=0.25)
    back = Layout.from_dict(json.loads(json.dumps(layout.to_dict())))
    assert back == layout
    assert back.digest == layout.digest
    others = [
        replace(layout, **change) for change in ({"memory": 13}, {"channels": ("b", "a", "c")}, {"summaries": False})
    ]
    assert len({layout.digest, *(other.digest for other in others)}) == 4


def test_other_layouts_are_refused() -> None:
    with pytest.raises(JourneyError, match=r"layout\.version: 2"):
        Layout.from_dict(Layout(CHANNELS).to_dict() | {"version": 2})
    with pytest.raises(JourneyError, match=r"layout: .*colour"):
        Layout.from_dict(Layout(CHANNELS).to_dict() | {"colour": 2})
    with pytest.raises(JourneyError, match=r"layout\.channels"):
        Layout(("a", "a"))
    with pytest.raises(JourneyError, match="channel: these journeys have"):
        Layout(("a", "b")).features(events(2))


def test_the_unit_of_costs_is_the_median_of_what_was_paid() -> None:
    of = events()
    assert of_log(of).cost_unit == np.median(of.cost_R)
    assert of_log(replace(of, cost_R=np.zeros(len(of)))).cost_unit == 1
