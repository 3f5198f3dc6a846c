"""The services one machine needs: Postgres, Valkey, the API and its workers, started and stopped together."""

from client.local.errors import StackError
from client.local.stack import LocalStack

__all__ = ["LocalStack", "StackError"]
