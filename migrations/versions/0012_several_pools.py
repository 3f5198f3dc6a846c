"""Turn a worker's pool into a list of pools."""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("alter table workers alter column pool type text[] using array[pool]")
    op.alter_column("workers", "pool", new_column_name="pools")


def downgrade() -> None:
    op.execute("alter table workers alter column pools type text using pools[1]")
    op.alter_column("workers", "pools", new_column_name="pool")
