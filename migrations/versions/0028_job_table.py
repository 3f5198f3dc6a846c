"""Index the jobs' metrics and texts, by which lists are sorted and searched, and store the costs of their networks."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

_STATUSES = ("queued", "running", "pausing", "paused", "succeeded", "failed", "cancelled")
# Best epochs hold their number beside their metrics. JSON's null is no object.
_NUMBERS = """
select job.id, each.key, (each.value #>> '{}')::double precision, job.kind, job.status
from jsonb_each(coalesce(nullif(job.costs, 'null'), '{}') || coalesce(nullif(job.metrics, 'null'), '{}')
    || (coalesce(nullif(job.best, 'null'), '{}') - 'epoch')) as each
where jsonb_typeof(each.value) = 'number'
"""
_INDEX_METRICS = """
create function index_job_metrics() returns trigger language plpgsql as $$
begin
    if tg_op = 'UPDATE' then
        delete from job_metrics where job_id = new.id and metric not in (
            select numbers.key from ({numbers}) as numbers
        );
    end if;
    insert into job_metrics (job_id, metric, value, kind, status) {numbers}
    on conflict (job_id, metric) do update set value = excluded.value, status = excluded.status
    where (job_metrics.value, job_metrics.status) is distinct from (excluded.value, excluded.status);
    return null;
end
$$
""".replace("{numbers}", _NUMBERS.replace("job.", "new."))
_HAS = "(new.costs is not null or new.metrics is not null or new.best is not null)"
_CHANGED = """
(old.costs, old.metrics, old.best) is distinct from (new.costs, new.metrics, new.best)
or old.status <> new.status and (new.costs is not null or new.metrics is not null or new.best is not null)
"""
_TEXT = """
lower(concat_ws(' ', {0}.name, {0}.id, {0}.kind, {0}.spec ->> 'dataset', {0}.spec ->> 'family', {0}.spec ->> 'method',
    {0}.spec ->> 'space', {0}.owner, {0}.project,
    (select string_agg(key || '=' || value, ' ') from jsonb_each_text({0}.labels))))
"""
_INDEX_TEXT = """
create function index_job_text() returns trigger language plpgsql as $$
begin
    insert into job_texts (job_id, name, text) values (new.id, new.name, {text})
    on conflict (job_id) do update set name = excluded.name, text = excluded.text;
    return null;
end
$$
""".replace("{text}", _TEXT.format("new"))
_FILL_METRICS = """
insert into job_metrics (job_id, metric, value, kind, status)
select found.* from jobs as job cross join lateral ({numbers}) as found
""".replace("{numbers}", _NUMBERS)
_FILL_TEXTS = "insert into job_texts (job_id, name, text) select id, name, {text} from jobs".replace(
    "{text}", _TEXT.format("jobs")
)
_TRIGGERS = (
    f"create trigger metrics_of_new after insert on jobs for each row when {_HAS} execute function index_job_metrics()",
    "create trigger metrics_of_changed after update of costs, metrics, best, status on jobs "
    f"for each row when ({_CHANGED}) execute function index_job_metrics()",
    "create trigger text_of_new after insert on jobs for each row execute function index_job_text()",
    "create trigger text_of_changed after update of name, labels, project on jobs for each row "
    "when ((old.name, old.labels, old.project) is distinct from (new.name, new.labels, new.project)) "
    "execute function index_job_text()",
)


def upgrade() -> None:
    # An owner of the database may create this extension: it is a trusted one.
    op.execute("create extension if not exists pg_trgm")
    op.add_column("jobs", sa.Column("costs", JSONB(), nullable=True))
    op.add_column("jobs", sa.Column("costs_due", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.execute("update jobs set costs_due = true where kind = 'evaluation' or kind = 'search' and metrics is not null")
    op.create_index("ix_jobs_costs_due", "jobs", ["id"], postgresql_where=sa.text("costs_due"))
    op.create_table(
        "job_metrics",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("metric", sa.Text(), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.CheckConstraint(f"status in {_STATUSES}", name=op.f("ck_job_metrics_status")),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_job_metrics_job_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", "metric", name=op.f("pk_job_metrics")),
    )
    op.create_table(
        "job_texts",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_job_texts_job_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_job_texts")),
    )
    op.execute(_FILL_METRICS)
    op.execute(_FILL_TEXTS)
    op.create_index("ix_job_metrics_value", "job_metrics", ["metric", "value", "job_id"])
    op.create_index("ix_job_metrics_list", "job_metrics", ["metric", "kind", "status", "value", "job_id"])
    op.create_index("ix_job_texts_name", "job_texts", ["name", "job_id"], postgresql_where=sa.text("name is not null"))
    op.create_index(
        "ix_job_texts_text", "job_texts", ["text"], postgresql_using="gin", postgresql_ops={"text": "gin_trgm_ops"}
    )
    newest = sa.literal_column("id desc nulls last")
    op.create_index("ix_jobs_owner_list", "jobs", ["owner", "kind", "status", newest])
    op.create_index("ix_jobs_roots", "jobs", ["kind", "status", newest], postgresql_where=sa.text("parent_id is null"))
    for statement in (_INDEX_METRICS, _INDEX_TEXT, *_TRIGGERS):
        op.execute(statement)


def downgrade() -> None:
    for name in ("metrics_of_new", "metrics_of_changed", "text_of_new", "text_of_changed"):
        op.execute(f"drop trigger {name} on jobs")
    op.execute("drop function index_job_metrics()")
    op.execute("drop function index_job_text()")
    op.drop_index("ix_jobs_roots", table_name="jobs")
    op.drop_index("ix_jobs_owner_list", table_name="jobs")
    op.drop_table("job_texts")
    op.drop_table("job_metrics")
    op.drop_index("ix_jobs_costs_due", table_name="jobs")
    op.drop_column("jobs", "costs_due")
    op.drop_column("jobs", "costs")
