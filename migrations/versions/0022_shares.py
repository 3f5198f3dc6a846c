"""Add the owners' shares, and order the queue by owner and project within a priority."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None
_QUEUED = sa.text("status = 'queued'")


def upgrade() -> None:
    op.create_table(
        "shares",
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("gpu_seconds", sa.Double(), nullable=False),
        sa.Column("counted_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("owner", "project", name=op.f("pk_shares")),
    )
    op.drop_index("ix_jobs_queue", table_name="jobs")
    names = [sa.text("coalesce(owner, '')"), sa.text("coalesce(project, '')")]
    op.create_index("ix_jobs_queue", "jobs", ["pool", "gpus", "priority", *names, "id"], postgresql_where=_QUEUED)


def downgrade() -> None:
    op.drop_index("ix_jobs_queue", table_name="jobs")
    order = ["pool", "gpus", sa.literal_column("priority desc"), "id"]
    op.create_index("ix_jobs_queue", "jobs", order, postgresql_where=_QUEUED)
    op.drop_table("shares")
