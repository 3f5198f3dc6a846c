"""Runs the migrations against the API's database, online only."""

from alembic import context
from sqlalchemy import create_engine

from api.db.models import Base
from api.settings import get_settings

engine = create_engine(get_settings().database_url.get_secret_value(), connect_args={"connect_timeout": 10})
with engine.connect() as connection:
    context.configure(connection=connection, target_metadata=Base.metadata, compare_type=True)
    with context.begin_transaction():
        # Two processes that start at once upgrade one after the other.
        connection.exec_driver_sql("select pg_advisory_xact_lock(4738291)")
        context.run_migrations()
engine.dispose()
