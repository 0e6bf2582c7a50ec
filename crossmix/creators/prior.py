"""What creators may give where no past result tells: the public laws of `generated.py`, with wide doubt.

    log y_i = log 1,500 + 0.6 log(followers / 5,000) + log(interaction rate) + log(audience quality) + what nobody knows

in interactions per collaboration. It orders creators by what is known to matter and says little of how much comes: the
level is uncertain by a factor of e either way, a creator by a factor of two, one result from the next as much. These
deviations are ours, wider than any that was found on generated catalogues.

Results of a phase correct it (`learned`). With beta ~ N(b, S) by the laws, ybar_i creator i's mean log of n_i results,

    ybar_i = x_i' beta + error,   error ~ N(0, d_i),   d_i = tau^2 + sigma^2 / n_i
    S_new = (I + S X' D^-1 X)^-1 S,   b_new = b + S_new X' D^-1 (ybar - X b)

(the conjugate update of a Gaussian linear model of known variances; S may be singular).

Shapes: N creators, X features.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from crossmix.creators import generated
from crossmix.creators.catalogue import Catalogue, Floats, Ints
from crossmix.creators.effect import Predictor, fit, own_means
from crossmix.creators.settings import Effects
from crossmix.schema import DataError

LEVEL, OF_FOLLOWERS, OF_RATE, OF_QUALITY, OF_CHANNEL, OF_CONTENT = 1.0, 0.15, 0.25, 0.5, 0.5, 0.25
"""Deviations of the laws' coefficients: log level; exponents of followers, rate, quality; logs of channel, content."""
CREATOR, RESULT = 0.7, 0.7
"""Deviations of a creator's log effect from the laws, and of a result's from the creator's own."""
TOLD = "EFFECT UNKNOWN: no past results; assumed by public laws, in interactions, with a wide interval; no forecast"
CORRECTED = "EFFECT UNKNOWN: no past results; assumed by public laws, corrected by {} of this brief; no forecast"


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


def told(results: int = 0) -> str:
    """That effects are assumed, once a brief has so many results."""
    return CORRECTED.format("1 result" if results == 1 else f"{results:,} results") if results else TOLD


def learned(assumed: Predictor, catalogue: Catalogue) -> Predictor:
    """The laws, corrected by the catalogue's results; how far creators and results scatter stays as assumed.

    Args:
        assumed: by `prior`, not corrected yet: a result counts once.
        catalogue: with results of this brief alone, interactions. In another unit they move the level there, of which
            little is known, the more of them there are.
    """
    positive_E = catalogue.result_E[catalogue.result_E > 0]
    floor = min(assumed.floor, float(positive_E.min(initial=np.inf)) / 2)
    count_N, mean_N = own_means(catalogue, floor)
    with_N = count_N > 0
    feature_NX = assumed.features(catalogue)[with_N]
    weight_N = 1 / (assumed.tau**2 + assumed.sigma**2 / count_N[with_N])
    weighted_XN = feature_NX.T * weight_N
    prior_XX = assumed.covariance_XX
    covariance_XX = np.linalg.solve(np.eye(len(prior_XX)) + prior_XX @ weighted_XN @ feature_NX, prior_XX)
    covariance_XX = (covariance_XX + covariance_XX.T) / 2
    beta_X = assumed.beta_X + covariance_XX @ weighted_XN @ (mean_N[with_N] - feature_NX @ assumed.beta_X)
    return replace(assumed, beta_X=beta_X, covariance_XX=covariance_XX, floor=floor)


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
