"""Selects the texts of a shard that are analysed, and encodes their analyses for storage."""

from collections.abc import Sequence
from functools import lru_cache

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.jobs.shards import Claim, TokenResult
from app.tables import ShardDomain
from layerscope.core import Model, TextAnalysis
from layerscope.core.tokenization.token_strings import token_strings
from layerscope.names import LENS_COLUMNS
from layerscope.stats.sampling import sample
from layerscope.values import encode_analysis, encode_tokens

SEED = 11
SAMPLING = {
    "analysis_texts": (
        f"of each domain a simple random sample of its texts by their place in it, seed {SEED}; "
        "of them those that could be measured"
    )
}


def sampled_indices(session: Session, claim: Claim, domains: Sequence[str]) -> set[int]:
    """The indices, in a shard whose texts have these domains, of the texts that are analysed.

    The positions of each domain's texts are sampled with a fixed seed. The sample depends neither on the
    shards nor on the outcome of a text, and domains of equal size have the same sampled positions, so both
    texts of a pair are analysed or neither is.
    """
    if not claim.options.get("analyses"):
        return set()
    position, sampled = {}, {}
    for domain, before, texts in _extents(session, claim):
        position[domain] = before
        sampled[domain] = _sample(texts, claim.options["analysis_texts"])
    places = set()
    for place, domain in enumerate(domains):
        if position[domain] in sampled[domain]:
            places.add(place)
        position[domain] += 1
    return places


def _extents(session: Session, claim: Claim) -> Sequence[tuple[str, int, int]]:
    """Of each domain, its texts before the shard and in the whole job."""
    earlier = func.sum(ShardDomain.texts).filter(ShardDomain.number < claim.number)
    rows = session.execute(
        select(ShardDomain.domain, func.coalesce(earlier, 0), func.sum(ShardDomain.texts))
        .where(ShardDomain.job_id == claim.job_id)
        .group_by(ShardDomain.domain)
    )
    return [(domain, int(before), int(texts)) for domain, before, texts in rows]


@lru_cache(maxsize=64)
def _sample(texts: int, count: int) -> frozenset[int]:
    return frozenset(sample(range(texts), count, SEED))


def stored(analysis: TextAnalysis) -> bytes | None:
    """The bytes for `text_profile.analysis`; None if the text could not be analysed."""
    top = analysis.activations
    if top is None:
        return None
    parts = analysis.values, top.units, top.values, top.tokens, top.ratio[:, None]
    return encode_analysis(*parts)


def stored_tokens(model: Model, analysis: TextAnalysis) -> TokenResult | None:
    """The tokens of a text for the database; None without analysis `tokens`, or if the text has an error."""
    found = analysis.token_profiles
    if found is None:
        return None
    ids = set(found.ids.tolist())
    if found.predictions is not None:
        ids |= set(found.predictions[..., LENS_COLUMNS.index("lens_top1")].astype(int).ravel().tolist())
    named = sorted(ids)
    vocabulary = dict(zip(map(str, named), token_strings(model.tokenizer, named), strict=True))
    return TokenResult(found.ids.tolist(), vocabulary, encode_tokens(found.values, found.predictions))
