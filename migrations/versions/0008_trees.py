"""Add a job's parent and its stage there."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("parent_id", sa.Uuid(), nullable=True))
    op.add_column("jobs", sa.Column("stage", sa.Text(), nullable=True))
    op.create_foreign_key(op.f("fk_jobs_parent_id"), "jobs", "jobs", ["parent_id"], ["id"], ondelete="CASCADE")
    op.create_unique_constraint(op.f("uq_jobs_parent_id_stage"), "jobs", ["parent_id", "stage"])


def downgrade() -> None:
    op.drop_constraint(op.f("uq_jobs_parent_id_stage"), "jobs")
    op.drop_constraint(op.f("fk_jobs_parent_id"), "jobs")
    op.drop_column("jobs", "stage")
    op.drop_column("jobs", "parent_id")
