import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layerscope.core import Model, load_model, profile_texts
from tests.support.models.tiny import causal_model, save


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return load_model(save(causal_model(num_hidden_layers=2), tmp_path_factory.mktemp("tiny")))


@settings(max_examples=25, deadline=None)
@given(
    texts=st.lists(st.text(alphabet="ab é數\n", max_size=60), min_size=1, max_size=8),
    budget=st.sampled_from([1, 20, 64, 4_096]),
    data=st.data(),
)
def test_a_text_does_not_depend_on_the_other_texts(
    model: Model, texts: list[str], budget: int, data: st.DataObject
) -> None:
    order = data.draw(st.permutations(range(len(texts))))
    found = {
        order[p.ordinal]: p for p in profile_texts(model, [texts[i] for i in order], token_budget=budget)
    }
    assert sorted(found) == list(range(len(texts)))
    for index, text in enumerate(texts):
        (alone,) = profile_texts(model, [text])
        assert (found[index].tokens, found[index].error) == (alone.tokens, alone.error)
        np.testing.assert_allclose(found[index].values, alone.values, rtol=2e-5, atol=2e-6)
