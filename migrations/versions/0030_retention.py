"""Add rules of retention, pins, the index that finds the jobs to which a file was given, and workers' disk use."""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "retention_rules",
        sa.Column("own", sa.Boolean(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("last", sa.Integer(), nullable=False),
        sa.Column("best", sa.Boolean(), nullable=False),
        sa.Column("every", sa.Integer(), nullable=True),
        sa.Column("days", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("own", "owner", "kind", name=op.f("pk_retention_rules")),
    )
    for table in ("jobs", "checkpoints"):
        op.add_column(table, sa.Column("pinned", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    for name in ("dataset_bytes", "free_bytes"):
        op.add_column("workers", sa.Column(name, sa.BigInteger(), nullable=True))
    op.create_index("ix_checkpoints_given", "checkpoints", ["sha256"], postgresql_where=sa.text("epoch = 0"))


def downgrade() -> None:
    op.drop_index("ix_checkpoints_given", table_name="checkpoints")
    for name in ("free_bytes", "dataset_bytes"):
        op.drop_column("workers", name)
    for table in ("checkpoints", "jobs"):
        op.drop_column(table, "pinned")
    op.drop_table("retention_rules")
