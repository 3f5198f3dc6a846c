"""Find the jobs that build on a data set, a job or a checkpoint."""

from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("create index ix_jobs_dataset on jobs ((spec ->> 'dataset'), id desc nulls last)")
    for name, path in (("started_from", "{init_from,job}"), ("scored", "{checkpoint,id}")):
        found = f"(spec #>> '{path}')"
        op.execute(f"create index ix_jobs_{name} on jobs ({found}) where {found} is not null")
    op.execute(
        "create index ix_jobs_members on jobs using gin ((spec -> 'members') jsonb_path_ops) where kind = 'ensemble'"
    )


def downgrade() -> None:
    for name in ("members", "scored", "started_from", "dataset"):
        op.drop_index(f"ix_jobs_{name}", table_name="jobs")
