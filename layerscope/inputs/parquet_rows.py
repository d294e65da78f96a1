"""Reads the rows of a Parquet file."""

import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import IO, Any, cast

from layerscope.inputs.records import InputRow, UnreadableInputError

BATCH_ROWS = 256
IN_MEMORY = 2**22  # bytes


def parquet_rows(name: str, pieces: Iterator[bytes], fields: Collection[str]) -> Iterator[InputRow]:
    """The rows, with those of the fields that the file has; with all if it has none of them.

    The end of a Parquet file describes it, so the file is copied to a temporary file first.

    Raises: UnreadableInputError if it is not Parquet, or if pyarrow is not installed.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise UnreadableInputError(
            f"{name}: Parquet needs the package pyarrow: `pip install pyarrow`."
        ) from error
    with _copied(pieces) as file:
        try:
            table = pq.ParquetFile(file)
            columns = [field for field in table.schema_arrow.names if field in fields] or None
            number = 0
            for batch in table.iter_batches(BATCH_ROWS, columns=columns):
                for value in batch.to_pylist():
                    number += 1
                    yield InputRow(f"record {number}", value)
        except (pa.ArrowException, OSError, ValueError) as error:
            reason = str(error).partition("\n")[0]
            raise UnreadableInputError(f"{name} is not a Parquet file that can be read: {reason}.") from error


@contextmanager
def _copied(pieces: Iterator[bytes]) -> Iterator[IO[Any]]:
    with tempfile.SpooledTemporaryFile(IN_MEMORY) as file:
        for piece in pieces:
            file.write(piece)
        file.seek(0)
        yield cast(IO[Any], file)
