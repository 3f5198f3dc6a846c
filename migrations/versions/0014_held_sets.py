"""Add the published data sets that a worker holds; null for a worker that has not reported any."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("workers", sa.Column("datasets", ARRAY(sa.Text()), nullable=True))


def downgrade() -> None:
    op.drop_column("workers", "datasets")
