"""What a run refuses, a text that kills processes, and files that are only there as a whole. Without Ray."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import fsspec
import pytest

from app.errors import ConfigurationError
from layerscope.inputs import InputReader, TextRecord, UnreadableInputError
from layerscope.inputs.remote_sources import find_remote_sources
from tests.support.jobs.corpora import lines_of, measure_corpus, planned, task_of, write_lines
from tests.support.models.tiny import causal_model, save
from tests.support.reading import parquet_of
from worker.corpus import manifest as manifests
from worker.corpus.attempts import Attempts
from worker.corpus.inputs import checksums, find_inputs
from worker.corpus.manifest import Manifest, request_of
from worker.corpus.measuring import PartMeasurer
from worker.corpus.parts import MeasuredParts, complete_parts
from worker.corpus.plan import part_name
from worker.corpus.statistics_files import write_results
from worker.corpus.storage import Storage


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(causal_model(), tmp_path_factory.mktemp("model"))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_lines(tmp_path / "texts.jsonl", lines_of(20))


def read_again(storage: Storage) -> Manifest:
    found = manifests.read(storage)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ({"window": 5}, "window null, and now 5"),
        ({"overflow": "fail"}, 'overflow "truncate", and now "fail"'),
    ],
)
def test_other_options_are_refused(
    tmp_path: Path, source: Path, model_folder: Path, option: dict[str, Any], words: str
) -> None:
    task = task_of(source, tmp_path / "out", model_folder)
    storage, manifest = planned(task)
    found = read_again(storage)
    assert found == manifest
    manifests.check_same(storage, found, request_of(task), manifest.measured_with)
    other = task_of(source, tmp_path / "out", model_folder, **option)
    with pytest.raises(ConfigurationError, match=words):
        manifests.check_same(storage, found, request_of(other), manifest.measured_with)
    other = replace(task, shard_texts=9)
    with pytest.raises(ConfigurationError, match="shard_texts 8, and now 9"):
        manifests.check_same(storage, found, request_of(other), manifest.measured_with)


def test_another_model_is_refused(tmp_path: Path, source: Path, model_folder: Path) -> None:
    task = task_of(source, tmp_path / "out", model_folder)
    storage, manifest = planned(task)
    other = save(causal_model(seed=1), tmp_path / "other")
    with pytest.raises(ConfigurationError, match="An actor has another model than the first one: revision"):
        PartMeasurer(storage, manifest, {**task.model, "source": str(other)}, 1)
    facts = manifest.measured_with | {"revision": "another"}
    with pytest.raises(ConfigurationError, match="was begun with revision"):
        manifests.check_same(storage, manifest, request_of(task), facts)


def test_other_inputs_are_refused(tmp_path: Path, source: Path, model_folder: Path) -> None:
    task = task_of(source, tmp_path / "out", model_folder)
    storage, manifest = planned(task)
    manifests.check_inputs(storage, manifest, checksums(find_inputs(task)))
    source.write_text(source.read_text().replace("the", "The", 1))
    with pytest.raises(ConfigurationError, match=r"the input .*texts.jsonl is not the same"):
        manifests.check_inputs(storage, manifest, checksums(find_inputs(task)))


def test_a_folder_with_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(ConfigurationError, match=r"contains thesis.tex, but no corpus.json"):
        manifests.read(Storage(str(tmp_path)))


def test_a_plan_that_was_interrupted_is_made_again(tmp_path: Path, source: Path, model_folder: Path) -> None:
    task = task_of(source, tmp_path / "out", model_folder)
    _, manifest = planned(task)
    (tmp_path / "out" / "corpus.json").unlink()
    assert planned(task)[1] == manifest


def test_a_corpus_with_too_many_domains_is_refused(tmp_path: Path, model_folder: Path) -> None:
    lines = [{"domain": f"d{i}", "text": "x"} for i in range(3)]
    source = write_lines(tmp_path / "texts.jsonl", lines)
    task = replace(task_of(source, tmp_path / "out", model_folder), domains_limit=2)
    with pytest.raises(ConfigurationError, match="more than 2 domains"):
        planned(task)


def test_a_text_that_kills_its_process_three_times_fails(
    tmp_path: Path, source: Path, model_folder: Path
) -> None:
    """What three processes leave behind that died while they measured text 3 alone."""
    task = task_of(source, tmp_path / "out", model_folder)
    storage, manifest = planned(task)
    for _ in range(3):
        attempts = Attempts.begin(storage, part_name(0))
        attempts.try_alone(3)
    outcome = PartMeasurer(storage, manifest, dict(task.model), 1).measure(0)
    assert (outcome.texts, outcome.failed) == (20, 1)
    assert complete_parts(storage) == {part_name(0)}
    assert not storage.names("attempts")
    content = storage.read(f"texts/{part_name(0)}")
    assert b"worker_crash: the process died 3 times while it measured this text" in content


def test_a_part_that_fails_nine_times_stops_the_run(tmp_path: Path, source: Path, model_folder: Path) -> None:
    task = task_of(source, tmp_path / "out", model_folder)
    storage, manifest = planned(task)
    measurer = PartMeasurer(storage, manifest, dict(task.model), 1)
    storage.write(f"plan/{part_name(0)}", [b"not Parquet"])
    with pytest.raises(RuntimeError, match=r"9 attempts to measure part-00000.parquet have failed"):
        measurer.measure(0)


def test_a_part_of_another_corpus_is_refused(tmp_path: Path, source: Path, model_folder: Path) -> None:
    """It has the same name and columns."""
    storage = measure_corpus(task_of(source, tmp_path / "out", model_folder))
    other = write_lines(tmp_path / "other.jsonl", lines_of(20, longest=5))
    other_storage = measure_corpus(task_of(other, tmp_path / "other", model_folder))
    name = f"texts/{part_name(0)}"
    storage.write(name, [other_storage.read(name)])
    manifest = read_again(storage)
    with pytest.raises(ConfigurationError, match=r"part-00000.parquet belongs to another corpus: delete it"):
        write_results(storage, MeasuredParts(storage, manifest.job(), manifest.parts))


def test_a_file_appears_as_a_whole(tmp_path: Path) -> None:
    for address in (str(tmp_path / "out"), "memory://out"):
        storage = Storage(address)
        assert storage.names("texts") == set()
        storage.write("texts/a", ["x", b"y"])
        storage.write("texts/a", ["z"])
        assert (storage.names("texts"), storage.read("texts/a")) == ({"a"}, b"z")
        assert storage.names() == {"texts"}
        storage.remove("texts/a")
        storage.remove("texts/a")
        assert storage.names("texts") == set()
        with pytest.raises(FileNotFoundError):
            storage.read("texts/a")
    (tmp_path / "out" / "texts" / ".unfinished-1-b").write_text("")
    assert Storage(str(tmp_path / "out")).names("texts") == set()


def test_the_files_of_an_object_storage_are_read_like_those_of_a_folder() -> None:
    memory = fsspec.filesystem("memory")
    memory.pipe("/bucket/data/cpp/a.jsonl", b'{"text": "x"}\n')
    memory.pipe("/bucket/data/python.txt", b"y")
    memory.pipe("/bucket/data/picture.png", b"z")
    found = find_remote_sources("memory://bucket/data")
    assert found.skipped == {".png": 1}
    texts = [TextRecord("cpp", "text", "x"), TextRecord("python", "text", "y")]
    assert list(InputReader(found)) == texts
    assert list(InputReader(find_remote_sources("memory://bucket/data/python.txt"))) == texts[1:]
    for address in ("memory://bucket/nothing", "memory://bucket/data/picture.png", "nosuch://bucket"):
        with pytest.raises(UnreadableInputError, match=address.rpartition("/")[2]):
            find_remote_sources(address)


def test_a_corpus_in_parquet_on_object_storage(tmp_path: Path, source: Path, model_folder: Path) -> None:
    local = measure_corpus(task_of(source, tmp_path / "out", model_folder))
    content = parquet_of(list(map(json.loads, source.read_text().splitlines())))
    fsspec.filesystem("memory").pipe("/corpora/in/texts.parquet", content)
    task = task_of(source, tmp_path, model_folder)
    remote = measure_corpus(replace(task, inputs=("memory://corpora/in",), out="memory://corpora/out"))
    for name in ("results.csv", "comparison.csv", "transitions.csv"):
        assert remote.read(name) == local.read(name)
    assert complete_parts(remote) == {part_name(0)}


def test_the_manifest_names_what_was_measured(tmp_path: Path, source: Path, model_folder: Path) -> None:
    planned(task_of(source, tmp_path / "out", model_folder))
    manifest = json.loads((tmp_path / "out" / "corpus.json").read_text())
    assert [file["name"] for file in manifest["inputs"]] == [str(source)]
    assert (manifest["texts"], manifest["parts"]) == (20, 1)
    assert manifest["domains"] == {"cpp": 7, "python": 7, "c": 6}
    assert manifest["measured_with"]["revision"].startswith("sha256:")
