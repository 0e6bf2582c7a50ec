"""Columns that a log has and nobody knew when it was decided: no feature of a step, wherever its steps come from.

A log that has them is read without them: `log.read`, from which training and Feast's view are made, takes named columns
of what ingest wrote and drops others silently. Who asks for one by name is refused: a table handed to `log.of_frame`,
the view's own columns (`feature_repo.journeys`), the fields of a question (`serving.protocol.journey_request`,
`journey_tensors`), and a `Layout`'s own features.
"""

from __future__ import annotations

from collections.abc import Iterable

from crossmix.schema import DataError


class JourneyError(DataError):
    """Journeys that cannot be used; the message names field, value and remedy."""


WRITTEN_LATER = {
    "conversion": "whether the user converts within 30 days",
    "attribution": "whether that conversion was credited to Criteo",
    "conversion_timestamp": "when the user will convert",
    "conversion_id": "which conversion it will be",
    "click_pos": "which of the clicks before a conversion it will have been",
    "click_nb": "how many clicks there will have been before a conversion",
    "cpo": "what the order will cost",
    "time_since_last_click": "told with the log, and part of the gaps",
}
"""Columns of Criteo's log that are no feature, and what they tell."""


def refuse(names: Iterable[str]) -> None:
    """Refuse columns that are written after the exposure that they would help to decide.

    Raises:
        JourneyError: one of `WRITTEN_LATER`.
    """
    for name in names:
        if (why := told(name)) is not None:
            raise JourneyError(f"{name}: {why}")


def told(name: str) -> str | None:
    """Why a column is refused, with the remedy; `None`: it is not."""
    if name not in WRITTEN_LATER:
        return None
    return f"{WRITTEN_LATER[name]}; it is written later than it would be used, drop it"
