"""Features, as declared (`components.declared`)."""

from components.declared import Step

STEP = Step(
    name="features",
    order=20,
    core="feature_repo.features:build",
    settings=(
        "features",
        "fusion.image_encoder",
        "fusion.text_encoder",
        "fusion.text_tokens",
        "fusion.text_pooling",
        "market",
        "limits",
        "window",
        "decay",
    ),
)
