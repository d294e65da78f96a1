"""The tables. PostgreSQL holds all state."""

from app.tables.base import Base
from app.tables.job_tables import (
    LOCAL_OWNER,
    Job,
    Shard,
    ShardDomain,
    StoredProfile,
    StoredTokens,
    Text,
)
from app.tables.key_tables import KEY_SCOPES, ApiKey, KeyScope
from app.tables.model_tables import LoadedModel, ModelFailure
from app.tables.statistics_tables import (
    comparison,
    first_token,
    layer_profile,
    massive_string,
    massive_tokens,
    text_lengths,
)

__all__ = [
    "KEY_SCOPES",
    "LOCAL_OWNER",
    "ApiKey",
    "Base",
    "Job",
    "KeyScope",
    "LoadedModel",
    "ModelFailure",
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
    "text_lengths",
]
