"""Turns an exception into the failure that the job's owner reads."""

from __future__ import annotations

import errno
import traceback
from collections.abc import Iterable

from api.schemas.jobs import Failure
from darts_core.printable import storable

_LONGEST_MESSAGE, _LONGEST_TRACEBACK = 4_000, 20_000


def failure_of(error: BaseException, log_tail: Iterable[str]) -> Failure:
    """Name, message, traceback and the last log lines; for out of memory also the remedy."""
    message = str(error) or type(error).__name__
    if is_out_of_memory(error):
        message = f"out of memory: use a smaller batch_size, channels or layers, or a larger device ({message})"
    trace = storable("".join(traceback.format_exception(error)))
    return Failure(
        type=type(error).__name__,
        message=storable(message)[:_LONGEST_MESSAGE],
        traceback=trace[-_LONGEST_TRACEBACK:],
        log_tail=list(log_tail),
    )


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, on the GPU or on the host."""
    import torch

    host = isinstance(error, RuntimeError) and "not enough memory" in str(error)
    return host or isinstance(error, (torch.OutOfMemoryError, MemoryError))


def is_disk_full(error: BaseException) -> bool:
    """Whether a write failed for want of room, here or in the error's causes.

    torch's writer reports it only in its message, and some versions only that not everything was written.
    """
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno in {errno.ENOSPC, errno.EDQUOT, errno.EROFS}:
            return True
        if isinstance(seen, RuntimeError) and ("No space left" in str(seen) or "file write failed" in str(seen)):
            return True
        seen = seen.__cause__ or seen.__context__
    return False
