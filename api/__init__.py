"""Implements the service, the only code that accesses Postgres. Imports no torch."""
