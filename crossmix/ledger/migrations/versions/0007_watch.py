"""How far monitors have followed the feedback."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    anew = "digest of what it is held against; another: begun anew"
    op.create_table(
        "watched",
        sa.Column("name", sa.String(200), primary_key=True, comment="what is followed, as residuals@24h"),
        sa.Column("bundle", sa.String(64), nullable=False, comment=anew),
        sa.Column(
            "through",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="end of the last cycle that was taken in",
        ),
        sa.Column("state", sa.LargeBinary, nullable=False, comment="numpy .npz"),
        comment="how far monitors have followed the feedback, and what they believe",
    )
