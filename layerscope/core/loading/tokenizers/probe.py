"""Compares two tokenizers on texts in which tokenizers typically differ."""

from collections.abc import Iterable

from tokenizers import Tokenizer

TEXTS = (
    *("a", " a", "  a", "a  b   c", " ", "\n", "\t\t", "a ", "▁a"),
    *("It's the user's 3rd test, isn't it?", "HELLO World camelCase snake_case"),
    *("0", "12345 67 890", "3.14e-10", "x1y22z333"),
    *("def f(x):\n    if x:\n        return 1\n\n\n", "int main() {\r\n\treturn 0;\r\n}\r\n"),
    *("naïve café", "e\u0301 ﬁ ½ Å ＃", "中文字符，日本語のテスト。한국어", "Привет, мир", "שלום عربى"),
    *("🙂 👩‍👩‍👧 🇩🇪", "\u00a0\u200b\u3000x", "<s>old</s> <unk> <0x0A> <|endoftext|>", "`a`[b]{c}/d\\e"),
)


def same_ids(tokenizer: Tokenizer, reference: Tokenizer) -> bool:
    """Whether both give the same ids for TEXTS, and for the special tokens of the reference within a text."""
    specials = [token for token in reference.get_added_tokens_decoder().values() if token.special]
    spelled = [f"a {token.content} b{token.content}\n" for token in specials]
    return all(
        _ids(tokenizer, texts, literal) == _ids(reference, texts, literal)
        for texts, literal in ((TEXTS, True), (spelled, True), (spelled, False))
    )


def _ids(tokenizer: Tokenizer, texts: Iterable[str], literal: bool) -> list[list[int]]:
    tokenizer.encode_special_tokens = literal
    return [tokenizer.encode(text, add_special_tokens=False).ids for text in texts]
