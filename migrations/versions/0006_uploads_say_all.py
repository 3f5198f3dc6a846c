"""Every uploaded checkpoint's `about` has all that a new one's has: older ones lack family, words and checksum."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # What a row says itself wins.
    op.execute(
        """update uploads set about = '{"family": "cnn", "words": null, "dataset_checksum": null}'::jsonb || about"""
    )


def downgrade() -> None:
    """Nothing: the version before reads what is more, too."""
