"""Fill in family, words and checksum in the `about` of older uploads."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # A value in the row wins over the default.
    op.execute(
        """update uploads set about = '{"family": "cnn", "words": null, "dataset_checksum": null}'::jsonb || about"""
    )


def downgrade() -> None:
    """Do nothing: the earlier version ignores the added fields."""
