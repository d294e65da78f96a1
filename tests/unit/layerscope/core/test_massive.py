"""The set of massive tokens against its definition, computed text by text with numpy."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from layerscope.core.massive import MASSIVE_FACTOR, massive_tokens, medians_without_first

LENGTHS = st.lists(st.integers(1, 9), min_size=1, max_size=6)


def random_norms(lengths: list[int], seed: int, layers: int = 3) -> torch.Tensor:
    random = np.random.default_rng(seed)
    return torch.from_numpy(np.exp(random.normal(0, 1.5, (layers, sum(lengths))))).float()


def by_definition(norms: torch.Tensor, lengths: list[int]) -> list[bool]:
    found: list[bool] = []
    for text in np.split(norms.numpy(), np.cumsum(lengths)[:-1], axis=1):
        rest = text[:, 1:]
        median = np.median(rest, axis=1, keepdims=True) if rest.size else np.full((len(text), 1), np.inf)
        found += [bool((column > MASSIVE_FACTOR * median[:, 0]).any()) for column in text.T]
    return found


@given(LENGTHS, st.integers(0, 1_000))
def test_the_set_is_that_of_the_definition(lengths: list[int], seed: int) -> None:
    norms = random_norms(lengths, seed)
    assert massive_tokens(norms, lengths).tolist() == by_definition(norms, lengths)


@given(LENGTHS, st.integers(0, 1_000))
def test_the_set_of_a_text_does_not_depend_on_its_neighbours(lengths: list[int], seed: int) -> None:
    norms = random_norms(lengths, seed)
    alone = [massive_tokens(part, [part.shape[1]]) for part in torch.split(norms, lengths, dim=1)]
    assert torch.equal(massive_tokens(norms, lengths), torch.cat(alone))


def test_medians_of_even_and_odd_numbers_of_tokens() -> None:
    norms = torch.tensor([[100.0, 1, 3, 2, 50, 5, 4, 70, 9]])
    medians = medians_without_first(norms, [4, 3, 1, 1])
    torch.testing.assert_close(medians, torch.tensor([[2, 4.5, torch.nan, torch.nan]]), equal_nan=True)


def test_planted_tokens_are_found_at_their_place_and_layer_and_no_others() -> None:
    norms = torch.ones(4, 30)
    norms[2, 7] = 3.01  # of the first text
    norms[0, 20] = 100  # the first token of the second text
    norms[3, 25] = 3.0  # exactly at the limit: not massive
    assert massive_tokens(norms, [20, 10]).nonzero().flatten().tolist() == [7, 20]


@pytest.mark.parametrize(("norms", "massive"), [([9.0], []), ([9.0, 1.0], [0]), ([1.0, 1.0, 9.0], [])])
def test_texts_of_one_two_and_three_tokens(norms: list[float], massive: list[int]) -> None:
    """In the last text the median is the mean of 1 and 9, so the last token is not massive."""
    assert massive_tokens(torch.tensor([norms]), [len(norms)]).nonzero().flatten().tolist() == massive


def test_values_that_are_not_finite_do_not_affect_other_texts() -> None:
    norms = torch.ones(2, 7)
    norms[:, 1] = torch.nan
    norms[0, 4] = 10
    assert massive_tokens(norms, [3, 4]).tolist()[3:] == [False, True, False, False]
