import hashlib
import json
import os
import threading
from pathlib import Path

import pytest
import torch

from worker.core import ModelError, demo, ensure_demo_model, load_model, profile_texts


@pytest.fixture(autouse=True)
def samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Sample texts of this test's own: the demo model must not change when a sample does."""
    folder = tmp_path / "samples"
    folder.mkdir()
    (folder / "a.json").write_text(json.dumps([f"for i in range({n}): print(i ** {n})" for n in range(40)]))
    (folder / "b.json").write_text(json.dumps(["Der Umsatz stieg um 12,4 % — auf 3.456 Mio. €."]))
    monkeypatch.setattr(demo, "SAMPLES", folder)
    return folder


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def test_the_same_bytes_every_time(tmp_path: Path) -> None:
    one = ensure_demo_model(tmp_path / "one")
    torch.rand(1)  # whatever else the process drew in between
    two = ensure_demo_model(tmp_path / "two")
    assert digests(one) == digests(two)
    assert "model.safetensors" in digests(one)


def test_built_once_and_nothing_left_beside_it(tmp_path: Path, samples: Path) -> None:
    folder = ensure_demo_model(tmp_path / "models" / "demo")
    before = folder.stat().st_mtime_ns
    (samples / "a.json").unlink()
    assert ensure_demo_model(folder).stat().st_mtime_ns == before
    assert list(folder.parent.iterdir()) == [folder]


def test_it_is_a_llama_with_a_bos_that_can_be_profiled(tmp_path: Path) -> None:
    model = load_model(ensure_demo_model(tmp_path / "demo"))
    assert (model.layers, model.hidden_size, model.max_tokens) == (12, 192, 2_048)
    assert model.tokenizer("for i in")["input_ids"][0] == model.tokenizer.bos_token_id
    assert model.tokenizer.decode(model.tokenizer("größer 數")["input_ids"][1:]) == "größer 數"
    (found,) = profile_texts(model, ["for i in range(3): pass"])
    block = found.values[0, 0, :, 1]
    assert block[-1] > 2 * block[1]  # depth has a shape


def test_killed_halfway_it_is_built_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "models" / "demo"
    with monkeypatch.context() as patched:
        patched.setattr(os, "rename", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            ensure_demo_model(folder)
    assert not folder.exists()
    assert load_model(ensure_demo_model(folder)).layers == 12


def test_two_that_race_both_get_the_whole_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, both = tmp_path / "models" / "demo", threading.Barrier(2)
    rename = os.rename

    def together(source: Path, target: Path) -> None:
        both.wait(timeout=60)
        rename(source, target)

    monkeypatch.setattr(os, "rename", together)
    found: list[Path] = []
    threads = [threading.Thread(target=lambda: found.append(ensure_demo_model(folder))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [folder, folder]
    assert list(folder.parent.iterdir()) == [folder]
    assert load_model(folder).layers == 12


def test_a_folder_that_cannot_be_replaced_is_an_error(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    folder.mkdir()
    (folder / "something.txt").write_text("of the user's")
    with pytest.raises(OSError, match="not empty"):
        ensure_demo_model(folder)
    assert (folder / "something.txt").exists()


def test_without_samples_it_says_what_is_missing(tmp_path: Path, samples: Path) -> None:
    for path in samples.iterdir():
        path.unlink()
    with pytest.raises(ModelError, match="tokenizer is trained on"):
        ensure_demo_model(tmp_path / "demo")
    assert not (tmp_path / "demo").exists()
