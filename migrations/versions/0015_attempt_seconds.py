"""Add an attempt's running time and last renewal, which survive a step of the clock."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("attempts", sa.Column("seconds", sa.Double(), server_default="0", nullable=False))
    op.add_column(
        "attempts",
        sa.Column("renewed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
    )
    op.execute(
        "update attempts set seconds = greatest(0, extract(epoch from coalesce(ended_at, now()) - started_at)), "
        "renewed_at = coalesce(ended_at, now())"
    )


def downgrade() -> None:
    op.drop_column("attempts", "renewed_at")
    op.drop_column("attempts", "seconds")
