"""Held-out past results tell whether the predictor's differences and intervals hold."""

from dataclasses import replace

import numpy as np
import pytest

from crossmix.creators import calibration, generated

WORLDS = [generated.demo(2_000, seed=700 + at) for at in range(12)]


def test_calibration_on_held_out_results() -> None:
    figures = [calibration.calibrate(world.catalogue, seed=at) for at, world in enumerate(WORLDS)]
    assert np.mean([one.slope for one in figures]) == pytest.approx(1.0, abs=0.03)
    assert np.mean([one.coverage for one in figures]) == pytest.approx(calibration.COVERED, abs=0.02)
    assert np.mean([one.picked_promised_over_gave for one in figures]) == pytest.approx(1.0, abs=0.1)
    assert np.mean([one.raw_promised_over_gave for one in figures]) > 1.05


def test_calibration_finds_a_law_that_broke() -> None:
    """Results of 0.3 deviation that the model cannot tell from its own: a catalogue whose held-out results doubled."""
    c = WORLDS[1].catalogue
    rng = np.random.default_rng(5)
    noisy = replace(c, result_E=c.result_E * np.exp(rng.standard_t(1.2, len(c.result_E))))
    told = calibration.calibrate(noisy, seed=0)
    assert told.coverage > calibration.COVERED + 0.05
