"""Connects to Postgres and defines the tables and the required revision."""
