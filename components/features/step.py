"""Features, as declared (`components.declared`)."""

from components.declared import Step

STEP = Step(
    name="features",
    order=20,
    core="feature_repo.features:build",
    settings=("data", "fusion", "market", "window", "decay"),
)
