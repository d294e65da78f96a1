"""Where the client finds the key of a user."""

import os
from pathlib import Path

import pytest

from layerscope.client.errors import KeyFileError
from layerscope.client.key_file import checked, find_key, key_file


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("LAYERSCOPE_API_KEY", raising=False)
    path = tmp_path / "layerscope" / "key"
    path.parent.mkdir()
    path.write_text("ls_file\n")
    path.chmod(0o600)
    return path


def test_the_file_contains_the_key(file: Path) -> None:
    assert key_file() == file
    assert find_key() == "ls_file"


def test_the_file_is_in_the_home_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert key_file() == tmp_path / ".config" / "layerscope" / "key"


def test_the_variable_takes_precedence(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAYERSCOPE_API_KEY", " ls_variable ")
    assert find_key() == "ls_variable"


def test_there_may_be_no_key(file: Path) -> None:
    file.unlink()
    assert find_key() is None


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o610])
def test_a_file_that_others_can_use_is_refused(file: Path, mode: int) -> None:
    file.chmod(mode)
    with pytest.raises(KeyFileError, match=rf"whose mode is {mode:04o}: run `chmod 600 {file}`\."):
        find_key()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_another_user_is_refused(file: Path) -> None:
    os.chown(file, 12345, 12345)
    with pytest.raises(KeyFileError, match="belongs to another user"):
        find_key()


def test_a_folder_is_refused(file: Path) -> None:
    file.unlink()
    file.mkdir(mode=0o700)
    with pytest.raises(KeyFileError, match="cannot be read"):
        find_key()


@pytest.mark.parametrize("key", ["", "two words", "ls_é", "a\r\nHost: b"])
def test_what_cannot_be_sent_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(KeyFileError) as refused:
        checked(key, "The file")
    assert not key or key not in str(refused.value)
