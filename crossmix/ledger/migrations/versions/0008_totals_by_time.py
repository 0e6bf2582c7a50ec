"""Sums are found by when they changed and by when they became known: a look reads what is new, and nothing else."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.create_index("totals_by_received", "totals", ["received"])
    op.create_index("totals_by_known", "totals", ["campaign_id", "known"])
    if op.get_bind().dialect.supports_comments:
        op.alter_column("watched", "state", existing_type=sa.LargeBinary(), comment="safetensors")
