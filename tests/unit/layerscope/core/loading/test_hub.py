import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

from layerscope.core import load_model
from layerscope.core.loading import hub
from layerscope.errors import ModelError


@pytest.mark.parametrize("source", ["/no/such/folder", "a/b/c", "", "two words"])
def test_neither_folder_nor_hub_id(source: str) -> None:
    with pytest.raises(
        ModelError, match=r"neither an existing folder nor a valid hub id .* correct `source`"
    ):
        load_model(source)


def refusing(error: Exception) -> Callable[..., str]:
    def snapshot_download(*_: object, **__: object) -> str:
        raise error

    return snapshot_download


def response(status: int) -> Any:
    return httpx.Response(status, request=httpx.Request("GET", "https://hub.test"))


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (GatedRepoError("403", response=response(403)), "accept its licence on the hub and set HF_TOKEN"),
        (
            RepositoryNotFoundError("404", response=response(404)),
            "correct `source` in models.toml, or set HF_TOKEN",
        ),
        (RevisionNotFoundError("404", response=response(404)), "correct `revision` in models.toml"),
        (
            ConnectionError("no route"),
            r"could not be downloaded \(no route\): check the network, HF_HUB_OFFLINE",
        ),
    ],
)
def test_errors_of_the_hub(monkeypatch: pytest.MonkeyPatch, error: Exception, advice: str) -> None:
    monkeypatch.setattr(hub, "snapshot_download", refusing(error))
    with pytest.raises(ModelError, match=advice) as raised:
        load_model("meta-llama/Llama-3.2-3B", revision="v9")
    assert "meta-llama/Llama-3.2-3B" in str(raised.value)


def test_an_unreachable_hub_fails_within_seconds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The real client in offline mode, as on a machine without network and cache."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ModelError, match="is not in the cache and could not be downloaded"):
        load_model("meta-llama/Llama-3.2-3B")


def test_the_revision_of_a_hub_model_is_its_commit(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = Path(shutil.copytree(folder, tmp_path / ("c0ffee" * 7)[:40]))
    monkeypatch.setattr(hub, "snapshot_download", lambda *_, **__: str(snapshot))
    assert load_model("meta-llama/Llama-3.2-3B").revision == snapshot.name
