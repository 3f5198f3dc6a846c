"""Backs up the database and the artifact store of a running service, and restores them into empty ones."""
