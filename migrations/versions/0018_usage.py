"""Add a job's project and the usage of ended attempts, which stays when a job is deleted."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("project", sa.Text(), nullable=True))
    op.add_column("attempts", sa.Column("joules", sa.Double(), nullable=True))
    op.create_table(
        "usage",
        sa.Column("attempt_id", sa.Uuid(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("project", sa.Text(), nullable=True),
        sa.Column("device", sa.Text(), nullable=True),
        sa.Column("gpus", sa.Integer(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("lost_seconds", sa.Double(), nullable=False),
        sa.Column("joules", sa.Double(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("attempt_id", name=op.f("pk_usage")),
    )
    op.create_index("ix_usage_ended_at", "usage", ["ended_at"])
    # How much of an earlier attempt was lost is not known.
    op.execute(
        "insert into usage select a.id, j.id, j.kind, j.owner, null, w.device, j.gpus, a.seconds, 0, null, "
        "a.started_at, greatest(a.ended_at, a.started_at) from attempts a join jobs j on j.id = a.job_id "
        "left join workers w on w.name = a.worker where a.ended_at is not null"
    )


def downgrade() -> None:
    op.drop_table("usage")
    op.drop_column("attempts", "joules")
    op.drop_column("jobs", "project")
