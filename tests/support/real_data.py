"""Where the real logs lie: `$CROSSMIX_SHARED_DATA`, or `shared/data` beside the project."""

from __future__ import annotations

import os
from pathlib import Path

SHARED = Path(os.environ.get("CROSSMIX_SHARED_DATA") or Path(__file__).parents[2].parent / "shared" / "data")
SLICE = SHARED / "criteo" / "criteo_sequence.csv.gz"
"""The Criteo slice."""
