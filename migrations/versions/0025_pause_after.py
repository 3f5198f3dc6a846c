"""Add the epoch after which a study's trial pauses."""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("pause_after", sa.Integer(), nullable=True))


def downgrade() -> None:
    op.drop_column("jobs", "pause_after")
