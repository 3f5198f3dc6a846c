"""Refuse statuses, states and roles that are no member of their enum."""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_JOB = ("queued", "running", "pausing", "paused", "succeeded", "failed", "cancelled")
_ROLE = ("viewer", "user", "admin", "worker")
_MEMBERS = {
    ("jobs", "status"): _JOB,
    ("job_labels", "status"): _JOB,
    ("attempts", "status"): ("running", "succeeded", "failed", "cancelled", "lost", "released"),
    ("datasets", "state"): ("checking", "ready", "failed"),
    ("keys", "role"): _ROLE,
    ("audit", "role"): _ROLE,
}


def upgrade() -> None:
    for (table, column), members in _MEMBERS.items():
        listed = ", ".join(f"'{member}'" for member in members)
        op.create_check_constraint(op.f(f"ck_{table}_{column}"), table, f"{column} in ({listed})")


def downgrade() -> None:
    for table, column in _MEMBERS:
        op.drop_constraint(op.f(f"ck_{table}_{column}"), table, type_="check")
