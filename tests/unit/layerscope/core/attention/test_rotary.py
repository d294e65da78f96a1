"""A text has the positions that it has alone, whatever its neighbours and the texts before it are."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from layerscope.core import load_model, profile_texts
from layerscope.core.attention.packed import packed
from layerscope.core.attention.rotary import RotaryPerText, depends_on_length
from tests.support.models.families import CASES, family_model
from tests.support.models.tiny import save

LENGTH_DEPENDENT = ["llama, dynamic rope", "llama, longrope", "phi3, longrope"]


def test_which_types_depend_on_the_length() -> None:
    found = [name for name in CASES if depends_on_length(family_model(name).model.rotary_emb)]
    assert found == LENGTH_DEPENDENT


@pytest.mark.parametrize("name", LENGTH_DEPENDENT)
def test_neighbours_and_earlier_texts_change_nothing(name: str, tmp_path: Path) -> None:
    model = load_model(save(family_model(name), tmp_path))
    texts = ["short", "middle " * 6, "a very long one " * 7, "a little less long " * 5, "short"]
    alone = {
        text: next(profile_texts(load_model(tmp_path), [text])).values for text in texts
    }  # a new model each
    for batch in (texts, texts[::-1]):
        for found in profile_texts(model, batch):  # all packed
            np.testing.assert_allclose(found.values, alone[batch[found.ordinal]], rtol=2e-5, atol=2e-6)
        for found in profile_texts(model, batch, token_budget=1):  # one after the other
            np.testing.assert_array_equal(found.values, alone[batch[found.ordinal]])


def test_the_lengths_of_each_call_are_used() -> None:
    module: Any = family_model("llama, longrope").model
    rotary = module.rotary_emb
    with packed(module), packed(module):  # within itself it changes nothing more
        assert isinstance(module.rotary_emb, RotaryPerText)
        for lengths in ([40, 3], [3, 40], [43]):
            positions = torch.cat([torch.arange(length) for length in lengths])[None]
            module(input_ids=positions + 1, position_ids=positions, use_cache=False, text_lengths=lengths)
            assert module.rotary_emb.lengths == lengths
        cosines, _ = RotaryPerText.forward(module.rotary_emb, torch.zeros(1), positions)
        torch.testing.assert_close(cosines, rotary(torch.zeros(1), positions)[0])
    assert module.rotary_emb is rotary


def test_other_models_keep_their_own_positions() -> None:
    module: Any = family_model("llama").model
    rotary = module.rotary_emb
    with packed(module):
        assert module.rotary_emb is rotary
