"""Faults 10 and 11: texts that kill the process, and a text that does not fit in memory."""

import csv
import io
import time

import numpy as np
import pytest

from tests.faults.support.checks import TextRows, read_text_rows
from tests.faults.support.disturbed_job import Reference, report
from tests.faults.support.injection import KILLS_PROCESS, LOSES_DEVICE, OUT_OF_MEMORY
from tests.faults.support.monitor import JobMonitor
from tests.faults.support.scale import SCALE, TEXTS_PER_SHARD
from tests.faults.support.service import RunningService, random_texts

pytestmark = pytest.mark.slow

TEXT_COLUMNS = 5  # ordinal, domain, tokens, truncated, error


def with_bad_texts(texts: list[tuple[str, str]], ordinals: list[int], bad: str) -> list[tuple[str, str]]:
    """The texts in the order of their ordinals, with some of them replaced by the bad text."""
    in_order = sorted(texts, key=lambda pair: pair[0])
    return [(domain, bad if i in ordinals else text) for i, (domain, text) in enumerate(in_order)]


def measured_rows(texts_csv: bytes, without: list[int]) -> tuple[list[list[str]], np.ndarray]:
    """The key columns and the numbers of each row, except those of some texts."""
    rows = [row for row in csv.reader(io.StringIO(texts_csv.decode())) if row[0] != "ordinal"]
    rows = [row for row in rows if int(row[0]) not in without]
    numbers = [[float(cell or "nan") for cell in row[TEXT_COLUMNS + 3 :]] for row in rows]
    return [row[: TEXT_COLUMNS + 3] for row in rows], np.array(numbers)


def run_with_bad_texts(
    service: RunningService, reference: Reference, ordinals: list[int], bad: str, bound: float
) -> TextRows:
    """Only the bad texts fail. The numbers of other shards keep every bit, those of their own all but the
    last digits."""
    job_id = service.submit(with_bad_texts(reference.texts, ordinals, bad))
    with JobMonitor(service, job_id) as monitor:
        monitor.wait_for_end(bound)
    texts_csv = service.file(job_id, "texts.csv")
    rows = read_text_rows(texts_csv, len(reference.texts))
    assert (rows.lost, rows.duplicated, sorted(rows.errors)) == (0, 0, ordinals)
    keys, numbers = measured_rows(texts_csv, ordinals)
    wanted_keys, wanted = measured_rows(reference.texts_csv, ordinals)
    assert keys == wanted_keys
    np.testing.assert_allclose(numbers, wanted, rtol=1e-4, atol=1e-6)
    bad_shards = {ordinal // TEXTS_PER_SHARD for ordinal in ordinals}
    whole = np.array([int(key[0]) // TEXTS_PER_SHARD not in bad_shards for key in keys])
    np.testing.assert_array_equal(numbers[whole], wanted[whole])
    return rows


def test_10_texts_that_kill_the_process(service: RunningService, reference: Reference) -> None:
    count = SCALE.numbers[10]
    ordinals = sorted(range(7, SCALE.texts, SCALE.texts // count))[:count]
    begun = time.monotonic()
    bound = 5 * (count + 1) * 2 * SCALE.recovery_seconds
    rows = run_with_bad_texts(service, reference, ordinals, KILLS_PROCESS, bound)
    assert all(error.startswith("worker_crash") for error in rows.errors.values())
    deaths = service.injection.events("text kills process", since=begun)
    assert len(deaths) == 5 * count  # twice with its shard, three times alone
    report(10.1, f"{count} texts that kill the process, {len(deaths)} deaths", count, rows)


def test_10_a_text_after_which_the_device_is_lost(service: RunningService, reference: Reference) -> None:
    """Each process that measures it must end: its later results would be wrong."""
    begun = time.monotonic()
    bound = 10 * SCALE.recovery_seconds
    rows = run_with_bad_texts(service, reference, [5], f"int {LOSES_DEVICE}", bound)
    assert rows.errors[5].startswith("worker_crash")
    lost = service.injection.events("device lost", since=begun)
    assert len({event.pid for event in lost}) == len(lost) == 5
    report(10.2, "a text after which the device is lost", 1, rows)


def test_11_a_text_that_does_not_fit_in_memory(service: RunningService, reference: Reference) -> None:
    ordinal = TEXTS_PER_SHARD + 3
    begun = time.monotonic()
    rows = run_with_bad_texts(service, reference, [ordinal], f"int {OUT_OF_MEMORY}", bound=60)
    assert "do not fit in the memory" in rows.errors[ordinal]
    halves = [event.facts["texts"] for event in service.injection.events("out of memory", since=begun)]
    assert halves[0] > 1
    assert halves[-1] == 1
    assert halves == sorted(halves, reverse=True)
    report(11, "out of memory in the forward pass", 1, rows)


def test_the_reference_has_the_texts_in_their_order(reference: Reference) -> None:
    assert reference.texts == random_texts(SCALE.texts)
