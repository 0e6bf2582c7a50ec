"""Market, as declared (`components.declared`)."""

from components.declared import Step

STEP = Step(
    name="market",
    order=40,
    core="crossmix.market.fit.fit:fit",
    settings=("market", "limits"),
)
