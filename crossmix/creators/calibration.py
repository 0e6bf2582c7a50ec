"""How a predictor does on past results that it was not fitted on.

Shapes: N creators, E past results that were held out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from crossmix.creators.catalogue import Catalogue, Floats, Ints
from crossmix.creators.effect import Predictor, fit, own_means
from crossmix.creators.settings import Effects


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Past results that a predictor did not see, and what it said of them."""

    rest: Catalogue
    """With the other results."""
    predictor: Predictor
    """Fitted on those."""
    of_E: Ints
    result_E: Floats
    log_E: Floats
    """Log of each result."""
    predicted_E: Floats
    """Its expected value."""
    deviation_E: Floats
    """Its predicted deviation."""
    promised_E: Floats
    """Expected effect."""


def held_out(catalogue: Catalogue, settings: Effects | None = None, *, seed: int = 0, share: float = 0.2) -> HeldOut:
    """Hold out a share of the past results and fit on the rest.

    Raises:
        DataError: the rest is too little to fit on.
    """
    rng = np.random.default_rng(seed)
    held_E = rng.random(len(catalogue.result_E)) < share
    if not held_E.any() and len(held_E):
        held_E[rng.integers(len(held_E))] = True
    rest = replace(catalogue, of_E=catalogue.of_E[~held_E], result_E=catalogue.result_E[~held_E])
    predictor = fit(rest, settings)
    posterior = predictor.posterior(rest)
    of_E, result_E = catalogue.of_E[held_E], catalogue.result_E[held_E]
    return HeldOut(
        rest=rest,
        predictor=predictor,
        of_E=of_E,
        result_E=result_E,
        log_E=np.log(np.maximum(result_E, predictor.floor)),
        predicted_E=posterior.log_N[of_E],
        deviation_E=np.sqrt(posterior.variance_N[of_E] + predictor.sigma**2),
        promised_E=posterior.mean_N[of_E],
    )


@dataclass(frozen=True, slots=True)
class Calibration:
    """How the predictor does on past results that it was not fitted on."""

    results: int
    slope: float
    """Of the log result on its prediction; 1 where differences are as large as predicted."""
    slope_error: float
    coverage: float
    """Share of results within the predicted 80 % interval."""
    promised_over_gave: float
    """Sum of predicted effects over the sum of results."""
    promised_error: float
    raw_promised_over_gave: float
    """The same of the best tenth, picked and predicted by each creator's own mean of the other results."""
    picked_promised_over_gave: float
    """The same of the best tenth, picked and predicted by posterior means."""


COVERED = 0.8
_QUANTILE = 1.2815515655446004
"""Of the standard normal at 0.9: bounds of the 80 % interval."""


def calibrate(
    catalogue: Catalogue, settings: Effects | None = None, *, seed: int = 0, share: float = 0.2
) -> Calibration:
    """Hold out a share of the past results, fit on the rest, compare; raises as `held_out`."""
    return calibration_of(held_out(catalogue, settings, seed=seed, share=share), seed)


def calibration_of(held: HeldOut, seed: int = 0) -> Calibration:
    """The comparison; `seed` of the resamples behind `promised_error`."""
    log_E, predicted_E, deviation_E = held.log_E, held.predicted_E, held.deviation_E
    of_E, result_E, promised_E = held.of_E, held.result_E, held.promised_E
    predictor, rng = held.predictor, np.random.default_rng(seed)
    centred_E = predicted_E - predicted_E.mean()
    spread = max(float(centred_E @ centred_E), 1e-12)
    slope = float(centred_E @ log_E) / spread
    rest_E = log_E - log_E.mean() - slope * centred_E
    ratio = float(promised_E.sum() / result_E.sum())
    again = rng.integers(len(of_E), size=(400, len(of_E)))
    ratios = promised_E[again].sum(1) / np.maximum(result_E[again].sum(1), 1e-300)
    count_N, mean_N = own_means(held.rest, predictor.floor)
    known_E = count_N[of_E] > 0
    return Calibration(
        results=len(of_E),
        slope=slope,
        slope_error=float(np.sqrt((rest_E**2).sum() / max(len(of_E) - 2, 1) / spread)),
        coverage=float((np.abs(log_E - predicted_E) <= _QUANTILE * deviation_E).mean()),
        promised_over_gave=ratio,
        promised_error=float(ratios.std()),
        raw_promised_over_gave=_picked(
            np.exp(np.minimum(mean_N[of_E] + predictor.sigma**2 / 2, 600.0))[known_E], result_E[known_E]
        ),
        picked_promised_over_gave=_picked(promised_E[known_E], result_E[known_E]),
    )


def _picked(promised_E: Floats, result_E: Floats) -> float:
    """Promised over given of the tenth that promises most; NaN of none."""
    if not len(promised_E):
        return float("nan")
    best = np.argsort(-promised_E)[: max(len(promised_E) // 10, 1)]
    return float(promised_E[best].sum() / max(result_E[best].sum(), 1e-300))
