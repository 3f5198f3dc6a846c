"""The errors that local services raise."""


class StackError(Exception):
    """Local services cannot start or go on. The message names the cause, the value and the way out."""


class BadSettingError(StackError):
    """They cannot because of a value that the user gave: a port, a folder, a group of GPUs."""
