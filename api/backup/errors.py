"""Defines the error of backups."""


class BackupError(Exception):
    """A backup cannot be created or restored. The message gives the cause and the remedy."""
