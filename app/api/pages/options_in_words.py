"""The options of a job in a few words."""

from collections.abc import Iterator

from app.schemas import JobOptions
from layerscope.names import COMPONENTS, Overflow, SpecialTokens

DEFAULT = "default options"


def options_in_words(options: JobOptions) -> str:
    """The options that are not the default ones: "block only; ablation of 64 texts; paired"."""
    return "; ".join(_changed(options)) or DEFAULT


def _changed(options: JobOptions) -> Iterator[str]:
    if len(options.components) < len(COMPONENTS):
        yield f"{' and '.join(options.components)} only"
    if options.window:
        yield f"only the first {options.window:,} tokens"
    if options.max_tokens:
        yield f"at most {options.max_tokens:,} tokens"
    if options.overflow == Overflow.FAIL:
        yield "longer texts fail"
    if options.paired:
        yield "paired"
    if options.analyses:
        yield f"{', '.join(options.analyses)} of {options.analysis_texts:,} texts a domain"
    if options.special_tokens == SpecialTokens.PARSE:
        yield "special tokens are parsed"
