"""InputErrors 10 and 11: texts that kill the process, and a text that does not fit in memory."""

import csv
import io
import time

import numpy as np

from tests.faults.house import House, random_texts
from tests.faults.injection import KILLING, LOSING, TOO_MUCH
from tests.faults.scale import ONLY_WHOLE, SCALE, TEXTS_PER_SHARD
from tests.faults.trial import Reference, report
from tests.faults.watch import Rows, Watch, read_rows

NAMES = 5  # ordinal, domain, tokens, truncated, error


def spoilt(texts: list[tuple[str, str]], places: list[int], text: str) -> list[tuple[str, str]]:
    """The texts in the order in which they are numbered, with other words at some places."""
    in_order = sorted(texts, key=lambda pair: pair[0])
    return [(domain, text if i in places else words) for i, (domain, words) in enumerate(in_order)]


def measured_rows(texts_csv: bytes, without: list[int]) -> tuple[list[list[str]], np.ndarray]:
    """What names each row, and its numbers, of all but some texts."""
    rows = [row for row in csv.reader(io.StringIO(texts_csv.decode())) if row[0] != "ordinal"]
    rows = [row for row in rows if int(row[0]) not in without]
    numbers = [[float(cell or "nan") for cell in row[NAMES + 3 :]] for row in rows]
    return [row[: NAMES + 3] for row in rows], np.array(numbers)


def run_spoilt(house: House, reference: Reference, places: list[int], text: str, bound: float) -> Rows:
    """Only the spoilt texts fail; whole shards keep every bit, the spoilt ones all but the last digits."""
    job_id = house.submit(spoilt(reference.texts, places, text))
    with Watch(house, job_id) as watch:
        watch.finish(bound)
    texts_csv = house.file(job_id, "texts.csv")
    rows = read_rows(texts_csv, len(reference.texts))
    assert (rows.lost, rows.duplicated, sorted(rows.errors)) == (0, 0, places)
    names, numbers = measured_rows(texts_csv, places)
    wanted_names, wanted = measured_rows(reference.texts_csv, places)
    assert names == wanted_names
    np.testing.assert_allclose(numbers, wanted, rtol=1e-4, atol=1e-6)
    spoilt_shards = {place // TEXTS_PER_SHARD for place in places}
    whole = np.array([int(name[0]) // TEXTS_PER_SHARD not in spoilt_shards for name in names])
    np.testing.assert_array_equal(numbers[whole], wanted[whole])
    return rows


def test_10_texts_that_kill_the_process(house: House, reference: Reference) -> None:
    count = SCALE.numbers[10]
    places = sorted(range(7, SCALE.texts, SCALE.texts // count))[:count]
    begun = time.monotonic()
    rows = run_spoilt(house, reference, places, KILLING, bound=5 * (count + 1) * 2 * SCALE.recovery_seconds)
    assert all(error.startswith("worker_crash") for error in rows.errors.values())
    deaths = house.injection.events("poisoned", since=begun)
    assert len(deaths) == 5 * count  # twice with its shard, three times alone
    report(10.1, f"{count} texts that kill the process, {len(deaths)} deaths", count, rows)


@ONLY_WHOLE
def test_10_a_text_that_loses_the_device(house: House, reference: Reference) -> None:
    """Each process that met it ends: what it said of the next texts would be worth nothing."""
    begun = time.monotonic()
    rows = run_spoilt(house, reference, [5], f"int {LOSING}", bound=10 * SCALE.recovery_seconds)
    assert rows.errors[5].startswith("worker_crash")
    lost = house.injection.events("device lost", since=begun)
    assert len({event.pid for event in lost}) == len(lost) == 5
    report(10.2, "a text after which the device is lost", 1, rows)


def test_11_a_text_that_does_not_fit_in_memory(house: House, reference: Reference) -> None:
    place = TEXTS_PER_SHARD + 3
    begun = time.monotonic()
    rows = run_spoilt(house, reference, [place], f"int {TOO_MUCH}", bound=60)
    assert "do not fit in the memory" in rows.errors[place]
    halves = [event.facts["texts"] for event in house.injection.events("out of memory", since=begun)]
    assert halves[0] > 1
    assert halves[-1] == 1
    assert halves == sorted(halves, reverse=True)
    report(11, "out of memory in the forward pass", 1, rows)


def test_the_reference_is_of_the_texts_in_their_order(reference: Reference) -> None:
    assert reference.texts == random_texts(SCALE.texts)
