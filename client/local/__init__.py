"""The services one machine needs: Postgres, Valkey, the API and its workers, started and stopped together."""
