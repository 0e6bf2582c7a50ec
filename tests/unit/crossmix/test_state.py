"""The state's layout as a value, of the budget split and of another: read and written by name, in numpy and torch."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from crossmix.history import History
from crossmix.state import ALLOCATION, KINDS, Field, Layout, LayoutError, weekday_fields, weekday_index

OTHER = Layout(
    kind="journey",
    version=3,
    context_size=5,
    slots=3,
    platform_fields=(Field("previous_share", "share", 0.0, 1.0), Field("touches", "a user", 0.0, 40.0, cold=2.0)),
    campaign_fields=(Field("depth", "steps", 0.0, 9.0, cold=1.0), Field("pace", "ratio", 0.0, 5.0, cold=1.0)),
)


def test_layout_adds_up() -> None:
    assert (ALLOCATION.size, ALLOCATION.statistics_size) == (640, 128)
    assert (ALLOCATION.context_size, ALLOCATION.slots) == (512, 10)
    assert len(set(ALLOCATION.names)) == len(ALLOCATION.fields) == 128
    assert ALLOCATION.names == (*ALLOCATION.platform_names, *ALLOCATION.campaign_names)
    assert (OTHER.size, OTHER.statistics_size) == (13, 8)
    assert OTHER.names[2:] == (
        "p1_previous_share",
        "p1_touches",
        "p2_previous_share",
        "p2_touches",
        "campaign_depth",
        "campaign_pace",
    )
    assert OTHER.fields["p2_touches"].unit == "a user"


def test_encode_pads_clamps_and_lets_no_nan_out() -> None:
    platform = torch.full((2, 3, 12), float("nan"))
    platform[0, 0, 0], platform[0, 1, 3] = 0.4, 1e9
    campaign = torch.full((2, 8), math.inf)
    encoded = ALLOCATION.encode(torch.zeros(2, 512), platform, campaign)
    assert encoded.shape == (2, 640)
    assert torch.isfinite(encoded).all()
    assert float(encoded[0, 512]) == pytest.approx(0.4)
    assert float(encoded[0, 512 + 12 + 3]) == 50.0
    assert (encoded[:, 512 + 36 : 512 + 120] == 0).all()


def test_encode_refuses_another_layout() -> None:
    with pytest.raises(ValueError, match="layout has 10 x 12"):
        ALLOCATION.encode(torch.zeros(1, 512), torch.zeros(1, 3, 11), torch.zeros(1, 8))
    with pytest.raises(ValueError, match=r"context \(1, 511\): want \(1, 512\)"):
        ALLOCATION.encode(torch.zeros(1, 511), torch.zeros(1, 3, 12), torch.zeros(1, 8))
    with pytest.raises(ValueError, match=r"campaign \(1, 7\): want \(1, 8\)"):
        ALLOCATION.encode(torch.zeros(1, 512), torch.zeros(1, 3, 12), torch.zeros(1, 7))


@pytest.mark.parametrize("layout", [ALLOCATION, OTHER], ids=lambda layout: layout.kind)
def test_split_takes_apart_what_encode_assembled_in_both_libraries(layout: Layout) -> None:
    rng = np.random.default_rng(0)
    context = rng.normal(size=(4, layout.context_size)).astype(np.float32)
    platform = rng.random((4, 2, len(layout.platform_fields))).astype(np.float32)
    campaign = rng.random((4, len(layout.campaign_fields))).astype(np.float32)
    encoded = layout.encode(context, platform, campaign)
    tensors = layout.encode(*map(torch.tensor, (context, platform, campaign)))
    assert np.array_equal(encoded, tensors.numpy())
    for part, whole in zip(layout.split(encoded, 2), (context, platform, campaign), strict=True):
        assert np.array_equal(part, whole)
    for part, whole in zip(layout.split(tensors, 2), (context, platform, campaign), strict=True):
        assert np.array_equal(part.numpy(), whole)
    statistics = layout.statistics(encoded)
    used, of_campaign = layout.split_statistics(statistics)
    assert used.shape == (4, layout.slots, len(layout.platform_fields))
    assert np.array_equal(of_campaign, campaign)
    for name, column in layout.by_platform(platform).items():
        assert np.array_equal(layout.of_platforms(statistics, name, 2), column)
        assert np.array_equal(platform[..., layout.platform(name)], column)
        assert np.array_equal(statistics[:, layout.index(f"p1_{name}")], column[:, 1])
    for name, column in layout.by_campaign(campaign).items():
        assert np.array_equal(layout.of_campaign(statistics, name), column)
        assert np.array_equal(statistics[:, layout.index(f"campaign_{name}")], column)
    assert np.array_equal(layout.clamp(statistics, 2), statistics)


def test_fields_are_written_by_name_into_a_copy() -> None:
    row = np.zeros(8)
    written = OTHER.write(row, {"touches": np.array([5.0, 6.0])}, {"pace": 0.5})
    assert written.tolist() == [0, 5, 0, 6, 0, 0, 0, 0.5]
    assert written.dtype == np.float32
    assert not row.any()
    with pytest.raises(LayoutError, match="statistics: 7 numbers; the layout has 8"):
        OTHER.write(np.zeros(7))
    with pytest.raises(LayoutError, match="layout journey version 3: it has no platform field 'max'; it has prev"):
        OTHER.write(row, {"max": np.zeros(2)})
    with pytest.raises(LayoutError, match="it has no campaign field 'elapsed'"):
        OTHER.write(row, campaign={"elapsed": 1.0})
    with pytest.raises(LayoutError, match="it has no statistic field 'p3_touches'"):
        OTHER.index("p3_touches")


def test_a_cold_start_is_what_is_known_and_the_fields_own_values() -> None:
    known = {"previous_share": np.array([0.25, 0.75]), "min": np.array([0.1, 0.1])}
    cold = OTHER.cold_start(known, weekday_fields(3) | {"pace": 2.0})
    assert cold.tolist() == [0.25, 2, 0.75, 2, 0, 0, 1, 2]


def test_a_cold_start_is_what_history_says_before_the_first_cycle() -> None:
    share, low, high = np.array([0.4, 0.6]), np.array([0.1, 0.0]), np.array([0.9, 0.7])
    history = History(
        window=5,
        decay=1.0,
        horizon=10,
        cycle_budget_B=torch.tensor([50.0]),
        minimum_BP=torch.tensor(low, dtype=torch.float32)[None],
        maximum_BP=torch.tensor(high, dtype=torch.float32)[None],
        share_BP=torch.tensor(share, dtype=torch.float32)[None],
    )
    told = ALLOCATION.encode_statistics(*history.statistics(torch.tensor([4.0])))[0].numpy()
    cold = ALLOCATION.cold_start({"previous_share": share, "min": low, "max": high}, weekday_fields(4))
    assert cold == pytest.approx(told, abs=1e-6)


def test_history_tells_the_fields_of_a_layout_and_refuses_those_it_does_not_know() -> None:
    fields = {field.name: field for field in ALLOCATION.platform_fields}
    small = replace(
        ALLOCATION,
        slots=2,
        platform_fields=(fields["max"], fields["previous_share"]),
        campaign_fields=ALLOCATION.campaign_fields[2:3],
    )
    half = torch.full((1, 2), 0.5)
    history = History(
        window=2, decay=1.0, horizon=4, cycle_budget_B=torch.tensor([9.0]), minimum_BP=0 * half, maximum_BP=2 * half,
        share_BP=half,
    )  # fmt: skip
    platform, campaign = history.statistics(torch.tensor([0.0]), small)
    assert platform.tolist() == [[[1.0, 0.5], [1.0, 0.5]]]
    assert campaign.tolist() == [[1.0]]
    with pytest.raises(LayoutError, match="layout journey version 3: nobody here knows touches"):
        history.statistics(torch.tensor([0.0]), OTHER)


def test_plain_data_and_back(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = json.loads(json.dumps(ALLOCATION.as_plain()))
    assert Layout.from_plain(plain) == ALLOCATION
    assert Layout.from_plain(plain).digest == ALLOCATION.digest
    builds = "this version of crossmix builds allocation version 1; serve it with the crossmix that trained it, or"
    with pytest.raises(LayoutError, match=f"layout journey version 3: {builds} train again"):
        Layout.from_plain(OTHER.as_plain())
    with pytest.raises(LayoutError, match=f"layout allocation version 2: {builds} train again"):
        Layout.from_plain(plain | {"version": 2})
    monkeypatch.setitem(KINDS, "journey", (3,))
    assert Layout.from_plain(json.loads(json.dumps(OTHER.as_plain()))) == OTHER


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda plain: plain.pop("slots"), "allocation version 1: it cannot be read .*'slots'.*save it again"),
        (lambda plain: plain["campaign_fields"][0].pop("unit"), "it cannot be read .*unit"),
        (
            lambda plain: plain["platform_fields"].append(plain["platform_fields"][0]),
            "^layout allocation version 1: a platform field comes twice in .*name each once",
        ),
        (lambda plain: plain.update(slots=0), "512 of context, 0 slots; give at least 0 and 1"),
        (lambda plain: plain.clear(), "layout None version None"),
    ],
)
def test_plain_data_that_is_no_layout_is_refused(change: object, message: str) -> None:
    plain = json.loads(json.dumps(ALLOCATION.as_plain()))
    change(plain)  # type: ignore[operator]
    with pytest.raises(LayoutError, match=message):
        Layout.from_plain(plain)
    with pytest.raises(LayoutError, match="layout None version None"):
        Layout.from_plain("allocation")


def test_the_digest_follows_the_numbers_and_their_order() -> None:
    """As bundles, feature folders and the server's kept states of earlier versions have it."""
    assert ALLOCATION.digest == "4bbe9453e0cf3421e741e09fbdd1a2f9dece54257fc1ae1e11a0494bb9f252da"
    elapsed, *others = ALLOCATION.campaign_fields
    digests = {ALLOCATION.digest, OTHER.digest}
    for other in (
        replace(ALLOCATION, slots=9),
        replace(ALLOCATION, context_size=511),
        replace(ALLOCATION, platform_fields=ALLOCATION.platform_fields[::-1]),
        replace(ALLOCATION, campaign_fields=ALLOCATION.campaign_fields[:-1]),
        replace(ALLOCATION, campaign_fields=(replace(elapsed, high=2.0), *others)),
    ):
        digests.add(other.digest)
    assert len(digests) == 7


def test_weekdays_are_read_back() -> None:
    for days in (torch.arange(7.0), torch.tensor([6.0, 0.0])):
        assert weekday_index(weekday_fields(days)).tolist() == days.tolist()
    assert weekday_fields(0) == {"weekday_sin": 0.0, "weekday_cos": 1.0}
    of_array = weekday_fields(np.arange(7))
    assert [float(weekday_fields(day)["weekday_sin"]) for day in range(7)] == of_array["weekday_sin"].tolist()
