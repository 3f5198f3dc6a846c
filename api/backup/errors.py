"""The one error of backups."""


class BackupError(Exception):
    """It cannot be made, or not be put back. The message names the cause and the way out."""
