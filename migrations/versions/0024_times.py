"""Add the times at which a job may run."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None
_TIMED = sa.text("(not_before is not null or time_window is not null) and status in ('queued', 'running')")


def upgrade() -> None:
    op.add_column("jobs", sa.Column("not_before", sa.DateTime(timezone=True), nullable=True))
    op.add_column("jobs", sa.Column("time_window", sa.Text(), nullable=True))
    op.add_column("jobs", sa.Column("time_zone", sa.Text(), server_default="UTC", nullable=False))
    op.create_index("ix_jobs_timed", "jobs", ["id"], postgresql_where=_TIMED)


def downgrade() -> None:
    op.drop_index("ix_jobs_timed", table_name="jobs")
    for column in ("time_zone", "time_window", "not_before"):
        op.drop_column("jobs", column)
