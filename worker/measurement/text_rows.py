"""From the options of a job to those of the measurement, and from what was measured to the rows of texts."""

from typing import Any

from app.jobs.shards import Claim, TextResult
from layerscope import values as codec
from layerscope.core import TextProfile
from layerscope.names import Scope, SpecialTokens

ONE_BY_ONE_FROM_ATTEMPT = 9  # each text succeeds alone, but the shard fails: the batch is the cause


def measuring_options(claim: Claim, limit: int) -> dict[str, Any]:
    """`limit`: the largest number of tokens of a text that the model may read."""
    return {
        "max_tokens": min(claim.options["max_tokens"] or limit, limit),
        "overflow": claim.options["overflow"],
        "window": claim.options.get("window"),
        # Jobs that were accepted before this option existed were parsed.
        "special_tokens": claim.options.get("special_tokens", SpecialTokens.PARSE),
        "token_budget": 1 if claim.attempt >= ONE_BY_ONE_FROM_ATTEMPT else None,
    }


def failed_row(claim: Claim, index: int, domain: str, error: str) -> TextResult:
    return TextResult(claim.first_ordinal + index, domain, 0, False, error, None)


def row_of(claim: Claim, index: int, domain: str, profile: TextProfile) -> TextResult:
    """`index`: that of the text in its shard."""
    stored = _stored(claim, profile) if profile.error is None else {"values": None}
    return TextResult(
        ordinal=claim.first_ordinal + index,
        domain=domain,
        tokens=profile.tokens,
        truncated=profile.truncated,
        error=profile.error,
        special_tokens_added=profile.special_tokens_added if profile.error is None else None,
        **stored,
    )


def _stored(claim: Claim, profile: TextProfile) -> dict[str, Any]:
    """The values in the scopes of the job. A job of an earlier version has no scope `typical`."""
    values = codec.encode(profile.values[:, : len(claim.scopes)])
    if Scope.TYPICAL not in claim.scopes:
        return {"values": values}
    return {
        "values": values,
        "massive": [token.position for token in profile.massive],
        "massive_strings": [token.token for token in profile.massive],
        "square_norms": codec.encode_square_norms(profile.square_norms),
    }
