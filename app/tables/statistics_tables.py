"""The tables of statistics. Their columns are those of the files, which layerscope.names defines."""

from typing import Any

from sqlalchemy import BigInteger, Column, Double, ForeignKey, Integer, String, Table

from app.tables.base import Base
from layerscope.names import (
    ANALYSIS_STATISTIC_COLUMNS,
    COMPARISON_COUNTS,
    COMPARISON_KEY,
    COMPARISON_STATISTICS,
    FIRST_TOKEN_KEY,
    MASSIVE_TOKENS_KEY,
    RANK_COLUMNS,
    RESULTS_KEY,
    SHARES,
    STATISTIC_COLUMNS,
    TOP_ACTIVATION_COLUMNS,
)


def _key(*names: str) -> list[Column[Any]]:
    """The primary key of a table of statistics: the id of the job, and the given columns."""
    job: Column[Any] = Column("job_id", ForeignKey("job.id", ondelete="CASCADE"), primary_key=True)
    types = [(name, Integer() if name in ("layer", "place") else String()) for name in names]
    return [job, *(Column(name, kind, primary_key=True, autoincrement=False) for name, kind in types)]


layer_profile = Table(
    "layer_profile",
    Base.metadata,
    *_key(*RESULTS_KEY),
    Column("texts", Integer, nullable=False),
    Column("tokens", BigInteger, nullable=False),
    *(Column(name, Double) for name in STATISTIC_COLUMNS),
    *(Column(name, Integer) for name in RANK_COLUMNS),
    # Statistics of the analysed texts, only in component `block` and scope `all`.
    Column("analysis_texts", Integer),
    *(Column(name, Double) for name in ANALYSIS_STATISTIC_COLUMNS),
)

comparison = Table(
    "comparison",
    Base.metadata,
    *_key(*COMPARISON_KEY),
    *(Column(name, Integer, nullable=False) for name in COMPARISON_COUNTS),
    *(Column(name, Double) for name in COMPARISON_STATISTICS),
)

massive_tokens = Table(
    "massive_tokens",
    Base.metadata,
    *_key(*MASSIVE_TOKENS_KEY),
    Column("texts", Integer, nullable=False),
    Column("tokens", BigInteger, nullable=False),
    Column("massive", BigInteger, nullable=False),
    Column("massive_first", Integer, nullable=False),
    Column("massive_share", Double, nullable=False),
    Column("norm_share", Double),
)

# The strings that are massive most often in each domain; `place` is 0 for the most frequent one.
massive_string = Table(
    "massive_string",
    Base.metadata,
    *_key("domain", "place"),
    Column("token", String, nullable=False),
    Column("massive", BigInteger, nullable=False),
    Column("texts", Integer, nullable=False),
)

# The lengths of the measured texts in tokens. `low` and `high`: the 10th and the 90th percentile.
text_lengths = Table(
    "text_lengths",
    Base.metadata,
    *_key("domain"),
    Column("texts", Integer, nullable=False),
    Column("truncated", Integer, nullable=False),
    Column("low", Integer, nullable=False),
    Column("high", Integer, nullable=False),
)

# The share of the first token in `delta_abs_mean`, scope `all`. If texts were analysed, the rows of component
# `block` also contain the largest activations.
first_token = Table(
    "first_token",
    Base.metadata,
    *_key(*FIRST_TOKEN_KEY),
    Column("texts", Integer, nullable=False),
    *(Column(name, Double) for name in SHARES),
    Column("analysis_texts", Integer),
    *(
        Column(name, Double if name.startswith(("value", "ratio")) else Integer)
        for name in TOP_ACTIVATION_COLUMNS
    ),
)
