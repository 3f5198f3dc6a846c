"""Add a job's limit of running time."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("max_runtime", sa.Integer(), nullable=True))


def downgrade() -> None:
    op.drop_column("jobs", "max_runtime")
