"""Add budgets, the GPU-seconds of owners by month, and the hold of jobs that may not run now."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None
_QUEUED = sa.text("status = 'queued'")
_CLAIMABLE = sa.text("status = 'queued' and hold is null")
# As api/usage/months.py.
_MONTHS = """
insert into owner_months (owner, month, gpu_seconds)
select owner, month, sum(gpus * seconds * case when ended_at > started_at then extract(epoch from
    least(ended_at at time zone 'UTC', month + interval '1 month') - greatest(started_at at time zone 'UTC', month)
) / extract(epoch from ended_at - started_at) else 1 end)
from usage cross join generate_series(
    date_trunc('month', started_at at time zone 'UTC'), ended_at at time zone 'UTC', interval '1 month'
) as months (month)
where owner is not null group by owner, month
"""


def upgrade() -> None:
    op.create_table(
        "budgets",
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("gpu_hours", sa.Double(), nullable=False),
        sa.Column("warned_month", sa.Date(), nullable=True),
        sa.Column("exhausted_month", sa.Date(), nullable=True),
        sa.PrimaryKeyConstraint("owner", name=op.f("pk_budgets")),
    )
    op.create_table(
        "owner_months",
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("gpu_seconds", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("owner", "month", name=op.f("pk_owner_months")),
    )
    op.execute(_MONTHS)
    op.add_column("jobs", sa.Column("hold", sa.Text(), nullable=True))
    op.create_index("ix_jobs_held", "jobs", ["owner"], postgresql_where=sa.text("hold is not null"))
    op.create_index("ix_jobs_owner_claimable", "jobs", ["owner", "id"], postgresql_where=_CLAIMABLE)
    _order_queue(_CLAIMABLE)


def downgrade() -> None:
    _order_queue(_QUEUED)
    op.drop_index("ix_jobs_owner_claimable", table_name="jobs")
    op.drop_index("ix_jobs_held", table_name="jobs")
    op.drop_column("jobs", "hold")
    op.drop_table("owner_months")
    op.drop_table("budgets")


def _order_queue(where: sa.TextClause) -> None:
    op.drop_index("ix_jobs_queue", table_name="jobs")
    names = [sa.text("coalesce(owner, '')"), sa.text("coalesce(project, '')")]
    op.create_index("ix_jobs_queue", "jobs", ["pool", "gpus", "priority", *names, "id"], postgresql_where=where)
