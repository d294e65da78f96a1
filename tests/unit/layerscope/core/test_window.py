"""The option `window`: every text has the same length, or fails."""

import numpy as np
import pytest

from layerscope.core import Model, profile_texts

LONG, SHORT = "a text of more than twelve tokens", "eleven ..."  # a token a byte, and the BOS


def test_the_first_tokens_count_and_no_others(model: Model) -> None:
    (found,) = profile_texts(model, [LONG], window=12)
    (cut,) = profile_texts(model, [LONG[:11]])
    assert (found.tokens, found.truncated, found.error) == (12, True, None)
    np.testing.assert_array_equal(found.values, cut.values)


def test_a_shorter_text_fails_and_one_of_the_length_does_not(model: Model) -> None:
    texts = list(profile_texts(model, [SHORT, SHORT + "."], window=12))
    assert texts[0].error == "the text has 11 tokens, fewer than the window of 12"
    assert np.isnan(texts[0].values).all()
    assert (texts[1].tokens, texts[1].truncated, texts[1].error) == (12, False, None)


@pytest.mark.parametrize(("overflow", "word"), [("truncate", "window of 12"), ("fail", "limit of 10")])
def test_a_window_beyond_the_limit_lets_no_text_through(model: Model, overflow: str, word: str) -> None:
    (text,) = profile_texts(model, [LONG], max_tokens=10, overflow=overflow, window=12)
    assert word in (text.error or "")


@pytest.mark.parametrize("window", [0, -1, 1.5, True])
def test_a_window_is_a_whole_number(model: Model, window: int) -> None:
    with pytest.raises(ValueError, match="window"):
        profile_texts(model, [LONG], window=window)
