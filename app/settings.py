"""All settings and limits of the service. The name of each one contains its unit.

Only entry points create `Settings`. All other code receives values.
"""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

KIB = 1024
MIB = 1024 * KIB


class Settings(BaseSettings):
    """Environment variables: `LAYERSCOPE_LEASE_SECONDS` sets the field `lease_seconds`."""

    model_config = SettingsConfigDict(env_prefix="LAYERSCOPE_", frozen=True, extra="forbid")

    home: Path = Field(
        Path("var"), description="folder for the data, caches and logs of the embedded servers"
    )
    database_url: str | None = Field(None, description="PostgreSQL 18 or newer; unset: the embedded server")
    redis_url: str | None = Field(None, description="Redis or Valkey; unset: the embedded server")
    models: Path | None = Field(
        None, description="the model list; unset: models.toml of the clone, or of the configuration directory"
    )

    lease_seconds: float = Field(60, gt=0, description="a shard whose lease is older goes to another worker")
    sweep_seconds: float = Field(10, gt=0, description="how often to look for work without a worker")
    drain_seconds: float = Field(60, gt=0, description="the longest time that a worker spends on one message")
    stop_seconds: float = Field(20, ge=0, description="how long current work may delay the stop of a worker")
    shard_characters: int = Field(65_536, gt=0, description="number of characters that completes a shard")
    shard_texts: int = Field(512, gt=0, description="number of texts that completes a shard")

    body_limit_bytes: int = Field(32 * MIB, gt=0, description="largest JSON body")
    ndjson_limit_bytes: int = Field(4096 * MIB, gt=0, description="largest NDJSON body, uncompressed")
    gzip_expansion_limit: int = Field(
        100, gt=0, description="largest ratio of uncompressed to compressed size of a gzip body"
    )
    text_limit_bytes: int = Field(1 * MIB, gt=0, description="largest text, in UTF-8")
    texts_per_job_limit: int = Field(1_000_000, gt=0, description="largest number of texts in a job")
    domains_per_job_limit: int = Field(
        16, gt=0, description="largest number of domains in a job; it keeps the state of a job below 4 KiB"
    )
    retention_days: float | None = Field(
        None, gt=0, description="age at which finished jobs are deleted; unset: they are kept until DELETE"
    )
    json_depth_limit: int = Field(16, gt=0, description="deepest nesting of a JSON body")
