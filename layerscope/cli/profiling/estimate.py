"""`layerscope profile --dry-run`: how many texts and tokens there are, and how long they may take."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from layerscope.cli.connection import connect
from layerscope.cli.output import print_line, print_table
from layerscope.cli.profiling.prepare import TextFiles, check_report, open_files, print_report, remedies
from layerscope.cli.profiling.token_counts import (
    CHARACTERS_PER_TOKEN,
    TokenCounter,
    exact_counter,
    rough_counter,
)

if TYPE_CHECKING:
    from layerscope.client import Client
    from layerscope.client.states import JobState

RECENT_JOBS = 50
SAME_OPTIONS = ("components", "analyses", "analysis_texts")  # options that decide how long a token takes


@dataclass
class TokenTally:
    """Of a domain. `counted`: tokens that would be measured."""

    texts: int = 0
    counted: int = 0
    truncated: int = 0
    failing: int = 0


@dataclass
class Estimate:
    domains: dict[str, TokenTally] = field(default_factory=dict)

    @property
    def tokens(self) -> int:
        return sum(tally.counted for tally in self.domains.values())


@dataclass(frozen=True)
class KnownModelFacts:
    """What is known about a model. `rate`: tokens per second of an earlier job."""

    counter: TokenCounter
    rate: float | None


def facts_for(
    folder: Path | None, options: Mapping[str, Any], limit: int | None, rate: float | None
) -> KnownModelFacts:
    """`folder` contains the model, if it is on this machine. `limit`: the most tokens of a text."""
    counter = rough_counter() if folder is None else exact_counter(folder, options)
    return KnownModelFacts(replace(counter, limit=_smaller(counter.limit, limit)), rate)


def known_to(server: str, model: str | None, options: Mapping[str, Any]) -> KnownModelFacts:
    """What a running service knows. Raises: ClientError."""
    with connect(server) as client:
        models = {found.name: found for found in client.models()}
        name = next(iter(models)) if model is None and len(models) == 1 else model
        limit = models[name].max_tokens if name in models else None
        rate = _measured_rate(client, name, options) if name in models else None
    return facts_for(None, options, limit, rate)


def print_estimate(wanted: TextFiles, known: KnownModelFacts, options: Mapping[str, Any]) -> None:
    """Read all files, and print what would be measured. Raises: UnreadableInputError."""
    reader, estimate, counter = open_files(wanted), Estimate(), known.counter
    limit = _smaller(counter.limit, options.get("max_tokens"))
    with remedies():
        for record in reader:
            _add(
                estimate.domains.setdefault(record.domain, TokenTally()),
                counter.count(record),
                limit,
                options,
            )
    print_report(reader.report)
    check_report(reader.report)
    _print(estimate, counter, limit, known.rate, options)


def _smaller(*limits: int | None) -> int | None:
    known = [limit for limit in limits if limit is not None]
    return min(known) if known else None


def _add(tally: TokenTally, tokens: int | None, limit: int | None, options: Mapping[str, Any]) -> None:
    tally.texts += 1
    window = options.get("window")
    is_longer = tokens is not None and limit is not None and tokens > limit
    if tokens is None or (is_longer and options.get("overflow") == "fail") or (window and tokens < window):
        tally.failing += 1
        return
    tally.truncated += is_longer
    tally.counted += _smaller(tokens, limit, window) or 0


def _print(
    estimate: Estimate,
    counter: TokenCounter,
    limit: int | None,
    rate: float | None,
    options: Mapping[str, Any],
) -> None:
    rows = [(name, t.texts, t.counted, t.truncated, t.failing) for name, t in estimate.domains.items()]
    total = [sum(row[column] for row in rows) for column in range(1, 5)]  # type: ignore[misc]
    print_table(("domain", "texts", "tokens", "truncated", "failing"), [*rows, ("all", *total)])
    if not counter.is_exact:
        print_line(
            f"The tokens are an estimate ({CHARACTERS_PER_TOKEN} characters per token): the tokenizer "
            "of the model is not available here."
        )
    if limit is None:
        print_line("It is not known how many tokens the model can read, so no text counts as truncated.")
    else:
        print_line(f"A text can have {limit:,} tokens.")
    print_line(_time(estimate.tokens, rate, options))


def _time(tokens: int, rate: float | None, options: Mapping[str, Any]) -> str:
    from layerscope.client.progress_display import duration

    if rate is None:
        kind = "with these analyses" if options.get("analyses") else "without analyses"
        return f"The time is not known: no job with this model {kind} has been measured yet."
    seconds = duration(max(1, tokens / rate))
    return f"This takes about {seconds} at {rate:,.0f} tokens/s, the rate of an earlier job."


def _measured_rate(client: "Client", model: str, options: Mapping[str, Any]) -> float | None:
    """Tokens per second of the largest recent job with this model and comparable options."""
    recent = islice(client.list(status="succeeded", model=model), RECENT_JOBS)
    comparable = [job.state for job in recent if _is_comparable(job.state, options)]
    largest = max(comparable, key=lambda state: state.progress.tokens, default=None)
    return largest.progress.tokens_per_second if largest is not None else None


def _is_comparable(state: "JobState", options: Mapping[str, Any]) -> bool:
    def of(given: Mapping[str, Any], name: str) -> Any:
        value = given.get(name)
        return sorted(value) if isinstance(value, list) else value

    wanted = {"components": ["attention", "block", "mlp"], "analyses": [], "analysis_texts": 64} | dict(
        options
    )
    names = SAME_OPTIONS if wanted["analyses"] else SAME_OPTIONS[:2]
    return all(of(state.options, name) == of(wanted, name) for name in names)
