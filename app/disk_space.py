"""Reports that the disk of the service is full."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from app.errors import DiskFull

SERVICE_IS_FULL = "The disk of the service is full. Nothing was kept; tell the operator."


@contextmanager
def storing(if_full: str = SERVICE_IS_FULL) -> Iterator[None]:
    """Within it, files are written. Raises: DiskFull, with `if_full`, if there is no space for them."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(if_full) from error
        raise
