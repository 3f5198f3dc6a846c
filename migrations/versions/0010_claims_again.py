"""Make the token of an attempt unique, by which a repeated claim finds it."""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_unique_constraint(op.f("uq_attempts_token_hash"), "attempts", ["token_hash"])


def downgrade() -> None:
    op.drop_constraint(op.f("uq_attempts_token_hash"), "attempts")
