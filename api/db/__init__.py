"""Postgres: the engine, the tables, the revision that the code needs."""
