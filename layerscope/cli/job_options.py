"""The options of a job on the command line."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from layerscope.names import Analysis, Component, Overflow, SpecialTokens

if TYPE_CHECKING:
    from collections.abc import Mapping

MaxTokensOption = Annotated[
    int | None,
    typer.Option(min=1, help="Use at most this number of tokens of a text. Default: the model's limit."),
]
OverflowOption = Annotated[
    Overflow | None,
    typer.Option(help="What happens to a longer text: it is truncated (default), or it fails."),
]
ComponentsOption = Annotated[
    str | None, typer.Option(metavar="NAMES", help=f"What is measured: {','.join(Component)}. Default: all.")
]
WindowOption = Annotated[
    int | None, typer.Option(min=1, help="Use only this number of tokens; texts with fewer tokens fail.")
]
PairedOption = Annotated[
    bool, typer.Option("--paired", help="The k-th texts of all domains belong together.")
]
AnalysesOption = Annotated[
    str | None,
    typer.Option(metavar="NAMES", help=f"Also analyse a sample of the texts: {','.join(Analysis)}."),
]
AnalysisTextsOption = Annotated[
    int | None, typer.Option(min=1, max=1024, help="Texts of each domain that are analysed. Default: 64.")
]
SpecialTokensOption = Annotated[
    SpecialTokens | None,
    typer.Option(
        help="What a special token is that a text spells: its characters (literal), or the token (parse)."
    ),
]


NAMES = (
    *("max_tokens", "overflow", "components", "window", "paired"),
    *("analyses", "analysis_texts", "special_tokens"),
)


def given_options(values: "Mapping[str, Any]") -> dict[str, Any]:
    """The options that were given, as the service expects them. The service knows the defaults."""
    given = {name: value for name, value in values.items() if value not in (None, False)}
    for name in ("components", "analyses"):
        if name in given:
            given[name] = [item.strip() for item in given[name].split(",") if item.strip()]
    return {
        name: str(value) if isinstance(value, Overflow | SpecialTokens) else value
        for name, value in given.items()
    }
