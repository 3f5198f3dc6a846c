"""Add a key's limit on the bytes of its owner's data sets."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("keys", sa.Column("dataset_bytes", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    op.drop_column("keys", "dataset_bytes")
