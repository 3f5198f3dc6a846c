"""The one error that local services raise."""


class StackError(Exception):
    """Local services cannot start or go on. The message names the cause, the value and the way out."""
