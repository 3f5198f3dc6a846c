"""Runs Dartboard on one machine: Postgres, Valkey, the API and its workers, started and stopped together."""
