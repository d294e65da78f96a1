"""Nothing holds a whole large file, and values that are enormous are refused."""

import csv
import gzip
import io
import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import IO, cast

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from layerscope.inputs import InputReader, UnreadableInputError, decoding, find_sources, json_values, uploaded

TEXTS = 15_000
TEXT = "abcdefghijklmnopqrstuvwxyz0123456789 " * 20  # 11 MB in all
PEAK_BYTES = 5 * 2**20


def json_file(file: IO[bytes]) -> None:
    file.write(b"[")
    for i in range(TEXTS):
        file.write(
            json.dumps({"text": f"{i} {TEXT}", "label": "a"}).encode() + (b"," if i < TEXTS - 1 else b"]")
        )


def lists_file(file: IO[bytes]) -> None:
    file.write(b'{"a": [')
    for i in range(TEXTS):
        file.write(json.dumps(f"{i} {TEXT}").encode() + (b"," if i < TEXTS - 1 else b"]}"))


def lines_file(file: IO[bytes]) -> None:
    for i in range(TEXTS):
        file.write(json.dumps({"text": f"{i} {TEXT}", "label": "a"}).encode() + b"\n")


def csv_file(file: IO[bytes]) -> None:
    text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
    writer = csv.writer(text)
    writer.writerow(["text", "label"])
    writer.writerows([f"{i} {TEXT}", "a"] for i in range(TEXTS))
    text.detach()


def parquet_file(file: IO[bytes]) -> None:
    schema = pa.schema([("text", pa.string()), ("label", pa.string())])
    with pq.ParquetWriter(file, schema, use_dictionary=False) as writer:
        for start in range(0, TEXTS, 1000):
            rows = [{"text": f"{i} {TEXT}", "label": "a"} for i in range(start, start + 1000)]
            writer.write_table(pa.Table.from_pylist(rows, schema=schema))


@pytest.mark.parametrize("is_compressed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("x.json", json_file),
        ("lists.json", lists_file),
        ("x.jsonl", lines_file),
        ("x.csv", csv_file),
        ("x.parquet", parquet_file),
    ],
)
def test_a_large_file_is_not_held_in_memory(
    tmp_path: Path, name: str, make: Callable[[IO[bytes]], None], is_compressed: bool
) -> None:
    path = tmp_path / (f"{name}.gz" if is_compressed else name)
    with gzip.open(path, "wb", compresslevel=1) if is_compressed else path.open("wb") as file:
        make(cast(IO[bytes], file))
    reader = InputReader(find_sources([path]))
    next(iter(reader))  # the imports
    tracemalloc.start()
    try:
        count = sum(1 for _ in InputReader(find_sources([path])))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == TEXTS
    assert peak < PEAK_BYTES


@pytest.mark.parametrize("name", ["x.txt", "x.jsonl", "x.csv", "x.json"])
def test_a_value_that_is_enormous_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "LONGEST", 100_000)
    monkeypatch.setattr(json_values, "LONGEST", 100_000)
    start = {"x.txt": "", "x.jsonl": '{"text": "', "x.csv": "text\n", "x.json": '["'}[name]
    endless = io.BytesIO((start + "x" * 3_000_000).encode())
    with pytest.raises(UnreadableInputError, match="more than 100,000 characters"):
        list(InputReader(uploaded([(name, endless)])))
    assert endless.tell() < 1_500_000
