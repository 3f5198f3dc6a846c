"""Errors of local services."""


class StackError(Exception):
    """Local services cannot start or continue. The message names the cause, the value and a remedy."""


class BadSettingError(StackError):
    """A StackError caused by a user's setting: a port, a folder, a group of GPUs."""
