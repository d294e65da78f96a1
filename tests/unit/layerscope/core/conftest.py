from pathlib import Path

import pytest

from layerscope.core import Model, load_model
from tests.support.models.tiny import causal_model, save


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model on disk: 4 layers, 256 tokens, one token a byte and a BOS. Not to be written to."""
    return save(causal_model(), tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def model(folder: Path) -> Model:
    return load_model(folder)
