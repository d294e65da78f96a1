import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from scipy import stats

from layerscope.core.analysis.ablation import token_costs
from layerscope.core.analysis.logit_lens import token_readings

Array = NDArray[np.float32]
LOGITS = st.tuples(st.integers(1, 5), st.integers(1, 40)).flatmap(
    lambda shape: st.tuples(*[hnp.arrays(np.float32, shape, elements=st.floats(-60, 60, width=32))] * 2)
)


def log_probabilities(logits: Array) -> torch.Tensor:
    return torch.from_numpy(logits).log_softmax(-1)


@given(LOGITS, st.data())
def test_the_numbers_of_two_distributions(pair: tuple[Array, Array], data: st.DataObject) -> None:
    one, other = map(log_probabilities, pair)
    tokens, vocabulary = one.shape
    following = np.array(
        data.draw(st.lists(st.integers(0, vocabulary - 1), min_size=tokens, max_size=tokens))
    )
    p, q = (np.exp(part.double().numpy()) for part in (one, other))
    rise, divergence = token_costs(one, other, torch.from_numpy(following)).numpy().T
    entropy, lens_divergence, agreement = token_readings(one, other).numpy().T
    np.testing.assert_allclose(divergence, stats.entropy(p, q, axis=1), rtol=1e-5, atol=2e-5)
    np.testing.assert_array_equal(lens_divergence, divergence)
    np.testing.assert_allclose(entropy, stats.entropy(q, axis=1), rtol=1e-5, atol=1e-5)
    at = np.arange(tokens), following
    np.testing.assert_allclose(rise, np.log(p[at] / q[at]), rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(agreement, p.argmax(1) == q.argmax(1))
    assert (divergence >= 0).all()
    assert ((entropy >= 0) & (entropy <= np.log(vocabulary) + 1e-6)).all()


@given(LOGITS)
def test_a_distribution_compared_with_itself(pair: tuple[Array, Array]) -> None:
    same = log_probabilities(pair[0])
    assert not token_costs(same, same, torch.zeros(len(same), dtype=torch.int64)).any()
    assert (token_readings(same, same)[:, 1:] == torch.tensor([0.0, 1.0])).all()
