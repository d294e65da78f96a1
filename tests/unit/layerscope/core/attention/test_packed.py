import pytest
import torch

from layerscope.core.attention.packed import packed
from tests.support.models.tiny import causal_model

TEXTS = [[0, 5, 9, 5, 20], [0, 7], [0, 200, 3, 3, 8, 100, 4]]


def inputs() -> dict[str, object]:
    return {
        "input_ids": torch.tensor([[token for text in TEXTS for token in text]]),
        "position_ids": torch.tensor([[i for text in TEXTS for i in range(len(text))]]),
        "use_cache": False,
    }


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_packed_text_has_the_values_of_the_text_alone(dtype: torch.dtype) -> None:
    module = causal_model(dtype=dtype).model
    lengths = [len(text) for text in TEXTS]
    with torch.inference_mode():
        with packed(module):
            together = module(**inputs(), text_lengths=lengths).last_hidden_state[0].split(lengths)
        for text, found in zip(TEXTS, together, strict=True):
            alone = module(input_ids=torch.tensor([text]), use_cache=False).last_hidden_state[0]
            torch.testing.assert_close(found, alone, rtol=1e-5, atol=1e-5 if dtype == torch.float32 else 0.05)


def test_a_padding_mask_is_refused_instead_of_ignored() -> None:
    module = causal_model().model
    with packed(module), pytest.raises(ValueError, match="no attention mask"):
        module(**inputs(), attention_mask=torch.ones(1, 14), text_lengths=[14])


def test_missing_lengths_are_refused() -> None:
    module = causal_model().model
    with packed(module), pytest.raises(TypeError, match="text_lengths"):
        module(**inputs())


def test_the_attention_of_the_model_is_restored() -> None:
    module = causal_model().model
    with pytest.raises(ZeroDivisionError), packed(module):
        assert 1 / (module.config._attn_implementation != "layerscope_packed")
    assert module.config._attn_implementation == "sdpa"
