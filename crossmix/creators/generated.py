"""A generated catalogue, by laws that others have published; labelled generated, and its true effects known.

- Followers: Pareto-lognormal, exp(N(mu, s^2) + Exp(1) / alpha), 1,000 and above (Sala et al., Revisiting degree
  distribution models for social graph analysis, arXiv 1108.0027). Its parameters are ours.
- Price: 175 (followers / 5,000)^0.8, spread 0.5, so that medians are 175, 1,100 and 7,000 at 5,000, 50,000 and 500,000
  followers; the middles of agencies' rate cards are about 175, 1,000 and 7,500 there.
- Interaction rate: falls from nano to mega from 10.3 to 4.9 % (tiktok), 4.8 to 1.2 % (instagram), 3.2 to 0.9 %
  (youtube), exponents -0.11, -0.20, -0.19
  (Statista and HypeAuditor 2025, as tabled by organicmediabuying.com, "Micro vs nano vs
  macro influencers").
- Impressions: followers^0.6. Tian, Dew, Iyengar (Mega or micro?, Journal of Marketing Research 61(3), 2024) find the
  follower elasticity of impressions positive and well below 1, 0.10 on average as a causal effect; 0.6 is ours, for it
  compares creators who differ in more than followers.
- Effect: impressions x interaction rate x audience quality, times what no column tells (spread 0.5); results scatter
  around it by 0.5. Who gives more than the columns tell asks for more: by 0.3 of it, in logs. These are ours.

Shapes: N creators, E past results.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crossmix.creators.catalogue import Catalogue, Floats

CHANNELS = ("instagram", "tiktok", "youtube")
CHANNEL_SHARE = (0.45, 0.35, 0.20)
RATE_AT_NANO = (0.048, 0.103, 0.032)
RATE_EXPONENT = (-0.20, -0.11, -0.19)
NANO = 3_162.0
"""Followers in the middle of the nano tier, 1,000 to 10,000."""
CONTENTS = ("live", "post", "video")
CONTENT_SHARE = (0.15, 0.45, 0.40)
CONTENT_EFFECT = (0.25, 0.0, 0.15)
"""In logs."""
CATEGORIES = ("beauty", "fashion", "food", "gaming", "home", "sport", "tech", "travel")
FOLLOWERS_MU, FOLLOWERS_SPREAD, FOLLOWERS_ALPHA = 9.0, 1.3, 0.9
MOST_FOLLOWERS = 3e7
PRICE_AT_5000, PRICE_EXPONENT, PRICE_SPREAD = 175.0, 0.8, 0.5
PRICE_OF_MORE = 0.3
IMPRESSIONS_AT_5000, IMPRESSIONS_EXPONENT = 1_500.0, 0.6
CREATOR_SPREAD, RESULT_SPREAD = 0.5, 0.5
RATE_SPREAD = 0.35
MEAN_RESULTS = 2.0


@dataclass(frozen=True, slots=True)
class World:
    """A generated catalogue with what nobody is told."""

    catalogue: Catalogue
    effect_N: Floats
    """True expected effect of a collaboration with each creator, interactions."""


def demo(creators: int = 2_000, seed: int = 0, *, currency: str = "EUR") -> World:
    """A catalogue of `creators`, the same for the same seed."""
    rng = np.random.default_rng(seed)
    channel_N = rng.choice(len(CHANNELS), creators, p=CHANNEL_SHARE)
    content_N = rng.choice(len(CONTENTS), creators, p=CONTENT_SHARE)
    log_f = rng.normal(FOLLOWERS_MU, FOLLOWERS_SPREAD, creators) + rng.exponential(1 / FOLLOWERS_ALPHA, creators)
    followers_N = np.rint(np.clip(np.exp(log_f), 1_000, MOST_FOLLOWERS))
    more_N = rng.normal(0, CREATOR_SPREAD, creators)
    price_N = PRICE_AT_5000 * (followers_N / 5_000) ** PRICE_EXPONENT
    price_N *= np.exp(rng.normal(0, PRICE_SPREAD, creators) + PRICE_OF_MORE * more_N)
    price_N = np.maximum(np.rint(price_N / 5) * 5, 5.0)
    rate_N = np.asarray(RATE_AT_NANO)[channel_N] * (followers_N / NANO) ** np.asarray(RATE_EXPONENT)[channel_N]
    rate_N = np.clip(rate_N * np.exp(rng.normal(0, RATE_SPREAD, creators)), 1e-4, 0.8)
    quality_N = np.round(rng.beta(6, 2, creators), 3)
    log_effect_N = (
        np.log(IMPRESSIONS_AT_5000)
        + IMPRESSIONS_EXPONENT * np.log(followers_N / 5_000)
        + np.log(rate_N)
        + np.log(np.maximum(quality_N, 0.05))
        + np.asarray(CONTENT_EFFECT)[content_N]
        + more_N
    )
    of_E = np.repeat(np.arange(creators), np.minimum(rng.poisson(MEAN_RESULTS, creators), 8))
    result_E = np.exp(log_effect_N[of_E] + rng.normal(0, RESULT_SPREAD, len(of_E)))
    chosen_NG = rng.random((creators, len(CATEGORIES))).argsort(1)[:, :3]
    member_NG = np.arange(3) < rng.integers(1, 4, creators)[:, None]
    member_G, place_G = np.nonzero(member_NG)
    catalogue = Catalogue(
        ids=tuple(f"c{at:06d}" for at in range(creators)),
        channels=CHANNELS,
        channel_N=channel_N.astype(np.int64),
        followers_N=followers_N,
        price_N=price_N,
        rate_N=rate_N,
        quality_N=quality_N,
        contents=CONTENTS,
        content_N=content_N.astype(np.int64),
        categories=CATEGORIES,
        member_G=member_G.astype(np.int64),
        category_G=chosen_NG[member_G, place_G].astype(np.int64),
        of_E=of_E.astype(np.int64),
        result_E=result_E,
        currency=currency,
        generated=True,
    )
    return World(catalogue, np.exp(log_effect_N + RESULT_SPREAD**2 / 2))
