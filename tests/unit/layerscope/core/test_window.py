"""The option `window`: all texts have the same length, or fail."""

import numpy as np
import pytest

from layerscope.core import Model, profile_texts

LONG, SHORT = "a text of more than twelve tokens", "eleven ..."  # one token per byte, and the BOS


def test_only_the_first_tokens_count(model: Model) -> None:
    (found,) = profile_texts(model, [LONG], window=12)
    (cut,) = profile_texts(model, [LONG[:11]])
    assert (found.tokens, found.truncated, found.error) == (12, True, None)
    np.testing.assert_array_equal(found.values, cut.values)


def test_a_shorter_text_fails_and_a_text_of_that_length_does_not(model: Model) -> None:
    texts = list(profile_texts(model, [SHORT, SHORT + "."], window=12))
    assert texts[0].error == "the text has 11 tokens, fewer than the window of 12; choose a smaller window"
    assert np.isnan(texts[0].values).all()
    assert (texts[1].tokens, texts[1].truncated, texts[1].error) == (12, False, None)


@pytest.mark.parametrize(("overflow", "word"), [("truncate", "window of 12"), ("fail", "limit of 10")])
def test_no_text_can_have_a_window_larger_than_the_limit(model: Model, overflow: str, word: str) -> None:
    (text,) = profile_texts(model, [LONG], max_tokens=10, overflow=overflow, window=12)
    assert word in (text.error or "")


@pytest.mark.parametrize("window", [0, -1, 1.5, True])
def test_the_window_must_be_a_positive_whole_number(model: Model, window: int) -> None:
    with pytest.raises(ValueError, match="window"):
        profile_texts(model, [LONG], window=window)
