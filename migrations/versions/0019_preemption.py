"""Let urgent jobs preempt running ones, and limit the priority that a key may give."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("preemptible", sa.Boolean(), server_default=sa.true(), nullable=False))
    op.add_column("jobs", sa.Column("preemptions", sa.Integer(), server_default="0", nullable=False))
    op.add_column("jobs", sa.Column("preempted_by", sa.Uuid(), nullable=True))
    op.add_column("keys", sa.Column("priority", sa.Integer(), nullable=True))


def downgrade() -> None:
    op.drop_column("keys", "priority")
    for column in ("preempted_by", "preemptions", "preemptible"):
        op.drop_column("jobs", column)
