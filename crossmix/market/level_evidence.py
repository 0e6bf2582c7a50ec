"""What one cycle's feedback says of a market's quantities, beside what the fitted market expects.

Per campaign, platform and quantity the log of what is seen over what is usual is u = level + c x + noise, x the
quantity's AR(1) drift. Each quantity's evidence is a count or a logarithm:

| quantity | seen                     | usual                                     | noise beside counting       |
|----------|--------------------------|-------------------------------------------|-----------------------------|
| requests | requests                 | the weekday's, of the arm's part          | `requests_sd`               |
| price    | ln(spend / impression)   | mean price won at the win rate seen       | what the win rate is unsure |
|          |                          |                                           | by                          |
| ctr      | clicks                   | impressions x weekday's rate, saturated   | contexts, which are untold  |
| cvr      | conversions              | clicks of the last cycles by the delay's  | drift since those clicks    |
|          |                          | law x conversion rate                     |                             |
| value    | ln(revenue / conversion) | value per conversion                      | `value_cv`^2 / conversions  |

A count is Poisson, or as much less as its rate is a probability. It is taken in by the Gamma law that has the belief's
mean and variance of u: it is conjugate, so no step is too long, and 0 of 3 expected says little. A logarithm is taken
in by Kalman's rule.

Shapes: C rows (campaigns, or flights of them), P platforms, D + 1 delays, Q quantities, H = 2 hypotheses.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from crossmix.drift import log_density
from crossmix.fading import NEUTRAL, Fading, per_click
from crossmix.market.model import Market
from crossmix.market.price import EmpiricalPrice, LogNormalPrice, Price

QUANTITIES = ("requests", "price", "ctr", "cvr", "value")
_DRIFTING = ("price", "ctr", "cvr")
MOST = 3.0
"""A logarithm is taken to lie within this of what is usual: a factor of 20."""
UNKNOWN = 1.0
"""Standard deviation of the log of what was fitted without a standard error, or without data to tell it."""
COUNT, PAID, EARNED = "count", "paid", "earned"
HALF = (2 / torch.pi) ** 0.5
"""Mean of |N(0, 1)|."""


class Row(NamedTuple):
    """One cycle of every row; NaN: unknown."""

    weekday_C: Tensor
    part_C: Tensor
    """Part of the market's requests that could be seen."""
    told_CP: Tensor
    spend_CP: Tensor
    requests_CP: Tensor
    impressions_CP: Tensor
    clicks_CP: Tensor
    conversions_CP: Tensor
    revenue_CP: Tensor


LATER = tuple(NEUTRAL)
"""Tables of `Usual` that files of earlier versions do not have."""
_ABSENT = torch.zeros(0)


@dataclass(frozen=True, slots=True, eq=False)
class Usual:
    """What the fitted market holds for usual, in double precision, each (C, P) where nothing else is said."""

    requests_7CP: Tensor
    ctr_7CP: Tensor
    """Of a cycle's first impression, in the mean over contexts."""
    cvr: Tensor
    value: Tensor
    value_cv: Tensor
    saturation: Tensor
    pacing: Tensor
    volume: Tensor
    """Variance of log requests beside weekday and counting."""
    mixed: Tensor
    """Variance of the log click rate between contexts."""
    delay_DCP: Tensor
    price: Price
    rho_QCP: Tensor
    sigma2_QCP: Tensor
    """Stationary variance of the drift; 0 where the quantity has none."""
    error2_QCP: Tensor
    """Variance of the log of each as fitted."""
    days: float
    """Of a cycle."""
    usual_share: Tensor = _ABSENT
    """With the next two: how conversions answer to wins (`crossmix.fading`); files of before it have none."""
    elasticity: Tensor = _ABSENT
    bend: Tensor = _ABSENT

    def __post_init__(self) -> None:
        for name in LATER:
            if not getattr(self, name).numel():
                object.__setattr__(self, name, torch.full_like(self.cvr, NEUTRAL[name]))

    @property
    def clicks_before(self) -> float:
        """Clicks of a cycle before a campaign's first: none behind one that begins; of an account whose totals were
        fitted unknown, NaN, as it ran before."""
        return torch.nan if bool((self.elasticity > 0).any()) else 0.0

    @classmethod
    def of(cls, market: Market, campaign_B: Tensor | None = None) -> Usual:
        """Of every campaign, or of these rows."""
        rows = torch.arange(len(market.campaigns)) if campaign_B is None else campaign_B
        value = {name: table[rows].double() for name, table in market.value.items()}
        rate = market.context_rate[rows].double()
        log_rate = rate.clamp(min=1e-3).log()
        mixed = log_rate.var(1) if rate.shape[1] > 1 else torch.zeros_like(value["ctr"])
        none = torch.zeros_like(value["ctr"])

        def drift(part: str) -> Tensor:
            return torch.stack([value[f"{name}_{part}"] if name in _DRIFTING else none for name in QUANTITIES])

        return cls(
            requests_7CP=(value["requests"][..., None] * market.volume_week[rows]).movedim(2, 0).contiguous(),
            ctr_7CP=((value["ctr"] * rate.mean(1))[..., None] * market.response_week[rows]).movedim(2, 0).contiguous(),
            cvr=value["cvr"],
            value=value["value"],
            value_cv=value["value_cv"].clamp(min=1e-3),
            saturation=value["saturation"].clamp(min=1e-4),
            pacing=value["pacing"],
            volume=value["requests_sd"] ** 2,
            mixed=mixed,
            delay_DCP=market.delay[rows].double().movedim(2, 0).contiguous(),
            price=_double(market.prices(rows)),
            rho_QCP=drift("persistence"),
            sigma2_QCP=drift("drift") ** 2,
            error2_QCP=torch.stack([_error(market, name)[rows] for name in QUANTITIES]) ** 2,
            days=market.cycle_hours / 24,
            **{name: value[name] for name in LATER},
        )

    def on(self, table_7CP: Tensor, weekday_C: Tensor) -> Tensor:
        """A table on each row's weekday, (C, P)."""
        index = weekday_C[None, :, None].expand(1, -1, table_7CP.shape[2])
        return table_7CP.gather(0, index).squeeze(0)


def _double(price: Price) -> Price:
    if isinstance(price, LogNormalPrice):
        return LogNormalPrice(price.mu.double(), price.sigma.double())
    return EmpiricalPrice.of(price.knots.double())


def _error(market: Market, quantity: str) -> Tensor:
    """Standard deviation of the log of a quantity as fitted, (C, P), at most `UNKNOWN`."""
    if quantity == "price":
        # Price tables have no standard error of their own: their drift, averaged over the fitted cycles.
        sigma, rho = market.value["price_drift"].double(), market.value["price_persistence"].double().clamp(max=0.999)
        relative = sigma * ((1 + rho) / (1 - rho) / max(market.cycle_group.shape[1], 1)).sqrt()
    elif market.provenance.get(quantity) == "approximated" and quantity == "requests":
        relative = torch.full_like(market.value[quantity], UNKNOWN).double()
    else:
        relative = market.error[quantity].double() / market.value[quantity].double().clamp(min=1e-12)
    return relative.nan_to_num(UNKNOWN).clamp(1e-6, UNKNOWN)


class Seen(NamedTuple):
    """What a cycle shows of one quantity, each (C, P)."""

    known: Tensor
    """Whether there is anything to compare."""
    teaches: Tensor
    """Whether the belief may move by it: a platform that delivers nothing tells that alone."""
    events: Tensor
    """A count; or the logarithm of what was seen over what is usual."""
    usual: Tensor
    """Expected at a multiplier of 1, in the unit of the count; of a logarithm: of `amount`."""
    amount: Tensor
    """What was seen in the unit of `usual`: a count, or currency."""
    thin: Tensor
    """Of a count: part by which its variance falls short of its mean, at a multiplier of 1."""
    noise: Tensor
    """Variance of u beside the belief's; of a logarithm: all of its noise."""
    reach: Tensor
    """c: how much of the drift that the belief is about shows in it."""
    offset: Tensor
    """Mean of u at level and drift 0."""
    kind: str
    """COUNT; PAID: the logarithm of a price, of money that was given, so that the impressions vary; EARNED: that of a
    value, of conversions that were given, so that the money varies."""

    @property
    def counted(self) -> bool:
        return self.kind == COUNT


def requests_seen(usual: Usual, row: Row) -> Seen:
    one = torch.ones_like(usual.cvr)
    expected = usual.on(usual.requests_7CP, row.weekday_C) * row.part_C[:, None]
    known = torch.isfinite(row.requests_CP) & (expected > 0)
    events = _counts(row.requests_CP)
    teaches = known & (events > 0)
    return Seen(known, teaches, events, expected, events, 0 * one, usual.volume, one, 0 * one, COUNT)


def win_rate(usual: Usual, row: Row, grown: Tensor, grown_variance: Tensor) -> tuple[Tensor, Tensor]:
    """Impressions over requests, and the variance of its log: that of the volume where no requests are told.

    Args:
        grown, grown_variance: what is believed of the log multiplier on requests.
    """
    told = torch.isfinite(row.requests_CP) & (row.requests_CP > 0)
    expected = usual.on(usual.requests_7CP, row.weekday_C) * row.part_C[:, None]
    requests = torch.where(told, row.requests_CP, expected * grown.exp()).clamp(min=1e-9)
    win = (_counts(row.impressions_CP) / requests).clamp(1e-6, 1)
    unsure = usual.volume + grown_variance + 1 / expected.clamp(min=1e-9)
    return win, torch.where(told, torch.zeros_like(unsure), unsure)


def price_seen(usual: Usual, row: Row, win: Tensor, unsure: Tensor) -> Seen:
    impressions, spend = _counts(row.impressions_CP), _counts(row.spend_CP)
    known = (impressions > 0) & (spend > 0)
    bid, won = usual.price.quantile(win), usual.price.spend(win).clamp(min=1e-12)
    expected = won / win
    paid = spend / impressions.clamp(min=1)
    square = (usual.price.square(win) / win / expected**2).clamp(min=1)
    # d ln(S / w) / d ln w, as S' = Q.
    elasticity = (bid / expected - 1).clamp(min=0)
    # Where the budget was gone before the cycle, the bid was one that wins more than was won: by as much as the spend
    # that was stopped would have gone beyond the budget, which is half of a normal law.
    stopped = (row.told_CP.nan_to_num(0.0) - spend < 2 * bid * (paid / expected)) & (win < 0.999)
    beyond = (usual.pacing**2 + square / impressions.clamp(min=1)).sqrt() * stopped
    noise = (square - 1) / impressions.clamp(min=1) + elasticity**2 * (unsure + (1 - HALF**2) * beyond**2)
    expected = expected * (elasticity * HALF * beyond).exp()
    ratio = (paid.clamp(min=1e-12) / expected).log().clamp(-MOST, MOST)
    offset = -0.5 * usual.sigma2_QCP[QUANTITIES.index("price")]
    one = torch.ones_like(paid)
    return Seen(known, known, ratio, expected * impressions, spend, 0 * one, noise + 1e-8, one, offset, PAID)


def clicks_seen(usual: Usual, row: Row, win: Tensor) -> Seen:
    impressions = _counts(row.impressions_CP)
    known = torch.isfinite(row.clicks_CP) & (impressions > 0)
    faded = usual.saturation * win
    rate = usual.on(usual.ctr_7CP, row.weekday_C) * -torch.expm1(-faded) / faded
    clicks = _counts(row.clicks_CP)
    offset = -0.5 * (usual.sigma2_QCP[QUANTITIES.index("ctr")] + usual.mixed)
    one = torch.ones_like(rate)
    return Seen(known, known, clicks, impressions * rate, clicks, rate, usual.mixed, one, offset, COUNT)


def due(usual: Usual, clicks: Tensor, win: Tensor) -> Tensor:
    """Clicks, each weighing what one converts at this share won over the usual one, (C, P)."""
    fading = Fading(usual.saturation, usual.usual_share, usual.elasticity, usual.bend)
    return clicks * per_click(fading, win) if fading.any else clicks


def conversions_seen(usual: Usual, row: Row, clicks_DCP: Tensor) -> Seen:
    """Conversions that became known, of the clicks of this cycle and those before it.

    Args:
        clicks_DCP: as `due`, newest first; NaN where they are not known: taken as the mean of those that are,
            of any size.
    """
    q = QUANTITIES.index("cvr")
    told = torch.isfinite(clicks_DCP)
    mean = torch.nanmean(clicks_DCP, 0).nan_to_num(0.0)
    due_DCP = usual.delay_DCP * torch.where(told, clicks_DCP, mean)
    due = due_DCP.sum(0).clamp(min=1e-9)
    guessed = (due_DCP * ~told).sum(0) / due
    weight_DCP = due_DCP / due
    # Mean drift of those clicks: its variance, and its covariance with the newest.
    rho, sigma2 = usual.rho_QCP[q], usual.sigma2_QCP[q]
    reach, square, older, power = torch.zeros_like(due), torch.zeros_like(due), torch.zeros_like(due), 1.0 + 0 * due
    for weight in weight_DCP:
        square = square + weight**2 + 2 * weight * older
        reach = reach + weight * power
        older, power = rho * (older + weight), power * rho
    known = torch.isfinite(row.conversions_CP) & (due > 1e-6) & told.any(0)
    conversions = _counts(row.conversions_CP)
    thin = usual.cvr * (usual.delay_DCP * weight_DCP).sum(0)
    noise = sigma2 * (square - reach**2).clamp(min=0) + guessed**2
    offset = -0.5 * sigma2 * square
    return Seen(known, known, conversions, due * usual.cvr, conversions, thin, noise, reach, offset, COUNT)


def value_seen(usual: Usual, row: Row, most: float = MOST) -> Seen:
    conversions, revenue = _counts(row.conversions_CP), _counts(row.revenue_CP)
    known = torch.isfinite(row.revenue_CP) & (conversions > 0)
    # A sum of Gamma values: its log with the variance of its law, less the mean of it.
    shape = (conversions / usual.value_cv**2).clamp(min=0.05)
    bill = conversions * usual.value
    ratio = (revenue.clamp(min=1e-12) / bill.clamp(min=1e-12)).log() - _digamma(shape) + shape.log()
    one = torch.ones_like(shape)
    return Seen(known, known, ratio.clamp(-most, most), bill, revenue, 0 * one, _trigamma(shape), one, 0 * one, EARNED)


def _counts(reported: Tensor) -> Tensor:
    return reported.nan_to_num(0.0).clamp(min=0)


def _log_gamma(x: Tensor) -> Tensor:
    """ln Gamma less ln(2 pi) / 2, to 1e-5: Stirling's series two steps up, a tenth of the cost of torch's."""
    y = x + 2
    inverse = 1 / y
    return (y - 0.5) * y.log() - y + inverse * (1 / 12 - inverse**2 / 360) - (x * (x + 1)).log()


def _digamma(x: Tensor) -> Tensor:
    """Its derivative, to 1e-4."""
    y = x + 2
    square = y**-2
    return y.log() - 0.5 / y - square * (1 / 12 - square / 120) - (2 * x + 1) / (x * (x + 1))


def _trigamma(x: Tensor) -> Tensor:
    """The second, to 1e-4."""
    inverse = 1 / (x + 2)
    square = inverse**2
    return x**-2 + (x + 1) ** -2 + inverse * (1 + inverse * (0.5 + inverse * (1 / 6 - square * (1 / 30 - square / 42))))


# ---- taking it in ----------------------------------------------------------------------------------------------------


class Taken(NamedTuple):
    """How a belief N(mean, variance) about u moves, each (H, C, P)."""

    shift: Tensor
    """What is added to the mean."""
    after: Tensor
    """Variance of u with the evidence, its noise included."""
    log_likelihood: Tensor
    """But for a constant that the hypotheses share."""


def taken(seen: Seen, mean_HCP: Tensor, variance_HCP: Tensor, thin_CP: Tensor) -> Taken:
    """The evidence of a cycle, taken in.

    Args:
        mean_HCP, variance_HCP: of u before, `offset` included; of a count `noise` too, which is part of u.
        thin_CP: part by which a count's variance falls short of its mean, at what is believed.
    """
    if not seen.counted:
        whole = variance_HCP + seen.noise
        innovation = seen.events - mean_HCP
        gain = variance_HCP / whole
        return Taken(gain * innovation, (1 - gain) * variance_HCP, log_density(innovation, whole))
    events, usual = seen.events / (1 - thin_CP), seen.usual / (1 - thin_CP)
    # Gamma(a, b) whose logarithm has this mean (exactly) and variance (nearly).
    a = 1 / variance_HCP + 0.5
    digamma = _digamma(a)
    rate = usual * (mean_HCP - digamma).exp()
    more = torch.log1p(rate)
    shift = _digamma(a + events) - digamma - more
    likelihood = _log_gamma(a + events) - _log_gamma(a) - (a + events) * more
    likelihood = likelihood + events * rate.clamp(min=1e-300).log()
    return Taken(shift, torch.minimum(_trigamma(a + events), variance_HCP), likelihood)


class Surprise(NamedTuple):
    """A cycle's residual, each (C, P), NaN where nothing was known."""

    z: Tensor
    observed: Tensor
    expected: Tensor
    variance: Tensor


def surprise(seen: Seen, mean: Tensor, variance: Tensor, thin: Tensor) -> Surprise:
    """What was seen against what was believed of u, (C, P) each; of a count z is the deviance residual of its negative
    binomial law, whose tails are near the normal's also where few are expected."""
    if seen.counted:
        events, usual = seen.events / (1 - thin), seen.usual / (1 - thin)
        a = 1 / variance.clamp(min=1e-12) + 0.5
        mu = (usual * a * (mean - _digamma(a)).exp()).clamp(min=1e-12)
        deviance = torch.xlogy(events, events / mu) - (a + events) * torch.log1p((events - mu) / (a + mu))
        skew = (a + 2 * mu) / (a * mu * (a + mu)).sqrt()
        z = (events - mu).sign() * (2 * deviance).clamp(min=0).sqrt() + skew.clamp(max=1) / 6
        expected = mu * (1 - thin)
        spread = (mu + mu**2 / a) * (1 - thin) ** 2
    else:
        whole = variance + seen.noise
        z = (seen.events - mean) / whole.sqrt()
        expected = seen.usual * (mean + 0.5 * (variance if seen.kind == EARNED else -whole)).exp()
        spread = expected**2 * torch.expm1(whole.clamp(max=4))
    return Surprise(*(torch.where(seen.known, table, torch.nan) for table in (z, seen.amount, expected, spread)))
