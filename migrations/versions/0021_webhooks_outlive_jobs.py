"""Keep a job's webhooks, whose messages may still be due, when the job is deleted."""

from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_constraint("fk_webhooks_job_id_jobs", "webhooks", type_="foreignkey")


def downgrade() -> None:
    op.execute("delete from webhooks where job_id is not null and not exists (select from jobs where id = job_id)")
    op.create_foreign_key(op.f("fk_webhooks_job_id_jobs"), "webhooks", "jobs", ["job_id"], ["id"], ondelete="CASCADE")
