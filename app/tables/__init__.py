"""The tables. PostgreSQL holds all state."""

from app.tables.base import Base
from app.tables.job_tables import Job, LoadedModel, Shard, ShardDomain, StoredProfile, StoredTokens, Text
from app.tables.statistics_tables import (
    comparison,
    first_token,
    layer_profile,
    massive_string,
    massive_tokens,
)

__all__ = [
    "Base",
    "Job",
    "LoadedModel",
    "Shard",
    "ShardDomain",
    "StoredProfile",
    "StoredTokens",
    "Text",
    "comparison",
    "first_token",
    "layer_profile",
    "massive_string",
    "massive_tokens",
]
