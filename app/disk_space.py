"""Reports that the disk of the service is full."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from app.errors import DiskFull


@contextmanager
def storing() -> Iterator[None]:
    """Within it, files are written. Raises: DiskFull if there is no space for them."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull("The disk of the service is full. Nothing was kept; tell the operator.") from error
        raise
