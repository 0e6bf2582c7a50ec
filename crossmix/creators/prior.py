"""What creators may give where no past result tells: the public laws of `generated.py`, with wide doubt.

    log y_i = log 1,500 + 0.6 log(followers / 5,000) + log(interaction rate) + log(audience quality) + what nobody knows

in interactions per collaboration. It orders creators by what is known to matter and says little of how much comes: the
level is uncertain by a factor of e either way, a creator by a factor of two, one result from the next as much. These
deviations are ours, wider than any that was found on generated catalogues.

Shapes: N creators, X features.
"""

from __future__ import annotations

import numpy as np

from crossmix.creators import generated
from crossmix.creators.catalogue import Catalogue, Floats, Ints
from crossmix.creators.effect import Predictor, fit
from crossmix.creators.settings import Effects
from crossmix.schema import DataError

LEVEL, OF_FOLLOWERS, OF_RATE, OF_QUALITY, OF_CHANNEL, OF_CONTENT = 1.0, 0.15, 0.25, 0.5, 0.5, 0.25
"""Deviations of the laws' coefficients: log level; exponents of followers, rate, quality; logs of channel, content."""
CREATOR, RESULT = 0.7, 0.7
"""Deviations of a creator's log effect from the laws, and of a result's from the creator's own."""
TOLD = "EFFECT UNKNOWN: no past results; assumed by public laws, in interactions, with a wide interval; no forecast"


def prior(catalogue: Catalogue) -> Predictor:
    """The laws as a predictor of a catalogue's channels and content types; `results` is 0."""
    channels, contents = len(catalogue.channels) - 1, len(catalogue.contents) - 1
    law = generated.IMPRESSIONS_EXPONENT
    # features of `effect.py`: log followers less 10, log rate plus 3
    level = np.log(generated.IMPRESSIONS_AT_5000) + law * (10 - np.log(5_000)) - 3
    beta_X = np.asarray([level, law, 0.0, 1.0, 1.0, 0.0, *[0.0] * (3 * channels + contents)])
    deviation_X = np.zeros(len(beta_X))
    deviation_X[[0, 1, 3, 4]] = LEVEL, OF_FOLLOWERS, OF_RATE, OF_QUALITY
    covariance_XX = np.diag(deviation_X**2)
    first = 6 + 3 * channels
    _vary(covariance_XX, 6 + 3 * np.arange(channels), OF_CHANNEL)
    _vary(covariance_XX, first + np.arange(contents), OF_CONTENT)
    return Predictor(
        channels=catalogue.channels,
        contents=catalogue.contents,
        centre_X=np.zeros(len(beta_X)),
        scale_X=np.ones(len(beta_X)),
        beta_X=beta_X,
        covariance_XX=covariance_XX,
        tau=CREATOR,
        sigma=RESULT,
        floor=1.0,
        results=0,
    )


def _vary(covariance_XX: Floats, dummies: Ints, deviation: float) -> None:
    """Add what each name of a column has of its own, independent and of one deviation, to the covariance of beta.

    The level is the first name's, a dummy is another's less the first's: whatever name comes first, no creator's law
    depends on it.
    """
    covariance_XX[0, 0] += deviation**2
    covariance_XX[0, dummies] -= deviation**2
    covariance_XX[dummies, 0] -= deviation**2
    covariance_XX[np.ix_(dummies, dummies)] += deviation**2 * (1 + np.eye(len(dummies)))


def fitted_or_prior(catalogue: Catalogue, settings: Effects | None = None) -> Predictor:
    """The predictor by past results, and by public laws where there is none at all.

    A few results make neither: their unit is their own, so that laws in interactions say nothing beside them.

    Raises:
        DataError: there are past results, and too few of them.
    """
    if not len(catalogue.result_E):
        return prior(catalogue)
    try:
        return fit(catalogue, settings)
    except DataError as error:
        raise DataError(f"{error}; or leave past_results out, and public laws are assumed") from None
