"""The service: the only code that touches Postgres. Imports no torch."""
