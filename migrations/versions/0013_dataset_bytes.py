"""Keys limit the bytes of packed data sets that their owner keeps."""

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
