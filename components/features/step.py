"""Features, as declared (`components.declared`)."""

from components.declared import Step, Task

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
    tasks=(
        Task(
            name="journeys",
            core="feature_repo.journeys:build",
            settings=("data.sequence_length", "journeys.window"),
        ),
    ),
)
