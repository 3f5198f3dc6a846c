"""Index jobs in the order of claims and lists, and labels as rows."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_QUEUED = sa.text("status = 'queued'")
_RUNNING = sa.text("status = 'running'")
_INDEX_LABELS = """
create function index_job_labels() returns trigger language plpgsql as $$
begin
    if tg_op = 'UPDATE' then
        delete from job_labels where job_id = new.id;
    end if;
    insert into job_labels (job_id, key, value, kind, status)
    select new.id, key, value, new.kind, new.status from jsonb_each_text(new.labels);
    return null;
end
$$
"""
_ON_INSERT = """
create trigger labels_of_new after insert on jobs
for each row when (new.labels <> '{}') execute function index_job_labels()
"""
_ON_UPDATE = """
create trigger labels_of_changed after update of labels, status on jobs
for each row when (new.labels <> old.labels or new.status <> old.status and new.labels <> '{}')
execute function index_job_labels()
"""
# An earlier version stored the reason that now follows from the broker's state.
_BROKER_AWAY = """
update jobs set status_reason = null where status = 'queued' and status_reason =
'the broker cannot be reached: start it, or set REDIS_URL; the job runs as soon as it is back'
"""


def upgrade() -> None:
    op.create_table(
        "job_labels",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_job_labels_job_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", "key", name=op.f("pk_job_labels")),
    )
    op.execute(
        "insert into job_labels (job_id, key, value, kind, status) select jobs.id, label.key, label.value, "
        "jobs.kind, jobs.status from jobs, jsonb_each_text(jobs.labels) as label"
    )
    newest = sa.literal_column("job_id desc nulls last")
    op.create_index("ix_job_labels_value", "job_labels", ["key", "value", "kind", "status", newest], unique=False)
    op.create_index("ix_job_labels_key", "job_labels", ["key", "kind", "status", newest], unique=False)
    for statement in (_INDEX_LABELS, _ON_INSERT, _ON_UPDATE, _BROKER_AWAY):
        op.execute(statement)
    op.drop_index("ix_jobs_labels", table_name="jobs")
    op.drop_index("ix_jobs_queue", table_name="jobs")
    order = ["pool", "gpus", sa.literal_column("priority desc"), "id"]
    op.create_index("ix_jobs_queue", "jobs", order, unique=False, postgresql_where=_QUEUED)
    op.drop_index("ix_jobs_kind", table_name="jobs")
    newest = sa.literal_column("id desc nulls last")
    op.create_index("ix_jobs_list", "jobs", ["kind", "status", newest], unique=False)
    known = sa.text("source_id is not null")
    op.create_index("ix_jobs_source", "jobs", ["source_id"], unique=False, postgresql_where=known)
    op.drop_index("ix_attempts_lease", table_name="attempts")
    op.create_index("ix_attempts_running", "attempts", ["worker"], unique=False, postgresql_where=_RUNNING)
    op.create_index("ix_idempotency_keys_job", "idempotency_keys", ["job_id"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_idempotency_keys_job", table_name="idempotency_keys")
    op.drop_index("ix_attempts_running", table_name="attempts")
    op.create_index("ix_attempts_lease", "attempts", ["lease_expires_at"], unique=False, postgresql_where=_RUNNING)
    for name in ("ix_jobs_source", "ix_jobs_list", "ix_jobs_queue"):
        op.drop_index(name, table_name="jobs")
    op.create_index("ix_jobs_kind", "jobs", ["kind", "id"], unique=False)
    order = ["pool", sa.literal_column("priority desc"), "id"]
    op.create_index("ix_jobs_queue", "jobs", order, unique=False, postgresql_where=_QUEUED)
    op.create_index("ix_jobs_labels", "jobs", ["labels"], unique=False, postgresql_using="gin")
    op.execute("drop trigger labels_of_changed on jobs")
    op.execute("drop trigger labels_of_new on jobs")
    op.execute("drop function index_job_labels()")
    op.drop_table("job_labels")
