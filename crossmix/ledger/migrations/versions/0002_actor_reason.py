"""`who` is `actor` and `why` is `reason`; an experiment says who ended it.

Until here a guardrail's end was told by how its reason begins. The audit trail has known better; where it has no entry,
that beginning decides, once and for all.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    for table in ("audit", "overrides"):
        op.alter_column(table, "who", new_column_name="actor")
        op.alter_column(table, "why", new_column_name="reason")
    op.alter_column("experiments", "why", new_column_name="reason")
    comment = "who ended it: guardrail, or a person"
    op.add_column("experiments", sa.Column("ended_by", sa.String(200), nullable=True, comment=comment))

    names = ("id", "ended", "reason", "ended_by")
    experiments = sa.table("experiments", *(sa.column(name) for name in names))
    audit = sa.table("audit", *(sa.column(name) for name in ("id", "action", "subject", "actor")))
    actor = (
        sa.select(audit.c.actor)
        .where((audit.c.subject == experiments.c.id) & (audit.c.action == "experiment.end"))
        .order_by(audit.c.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    guardrail = sa.case((experiments.c.reason.like("guardrail %"), "guardrail"))
    op.execute(
        experiments.update().where(experiments.c.ended.is_not(None)).values(ended_by=sa.func.coalesce(actor, guardrail))
    )
