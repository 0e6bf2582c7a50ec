"""Sources `creators` and `demo-creators`: no log, but who can be bought; `crossmix.creators.step_ingest` reads them."""

from crossmix.sources import SOURCES, Source

SOURCES.register(Source(name="creators", label="a CSV of creators, for task=creators", tasks=("creators",)))
SOURCES.register(
    Source(
        name="demo-creators",
        label="a generated catalogue of creators, for task=creators",
        generated=True,
        tasks=("creators",),
    )
)
