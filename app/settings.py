"""Every setting and limit of the service, each with its unit in its name.

Only entry points build `Settings`; everyone else receives values.
"""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

KIB = 1024
MIB = 1024 * KIB


class Settings(BaseSettings):
    """Read from the environment: the field `lease_seconds` is `LAYERSCOPE_LEASE_SECONDS`."""

    model_config = SettingsConfigDict(env_prefix="LAYERSCOPE_", frozen=True, extra="forbid")

    home: Path = Field(Path("var"), description="folder of the embedded servers' data, caches and logs")
    database_url: str | None = Field(None, description="PostgreSQL 18 or newer; unset: the embedded server")
    redis_url: str | None = Field(None, description="Redis or Valkey; unset: the embedded server")
    models: Path | None = Field(
        None, description="the model list; unset: models.toml of the clone, or of the configuration directory"
    )

    lease_seconds: float = Field(60, gt=0, description="a shard not renewed for so long is given to another")
    sweep_seconds: float = Field(10, gt=0, description="how often forgotten work is looked for")
    drain_seconds: float = Field(60, gt=0, description="the most a worker gives to one message")
    stop_seconds: float = Field(20, ge=0, description="how long what is in hand may delay a worker's stop")
    shard_characters: int = Field(65_536, gt=0, description="characters after which a shard is closed")
    shard_texts: int = Field(512, gt=0, description="texts after which a shard is closed")

    body_limit_bytes: int = Field(32 * MIB, gt=0, description="largest JSON body")
    ndjson_limit_bytes: int = Field(4096 * MIB, gt=0, description="largest NDJSON body, unpacked")
    gzip_expansion_limit: int = Field(
        100, gt=0, description="how many times its size a gzip body may unpack to"
    )
    text_limit_bytes: int = Field(1 * MIB, gt=0, description="largest text, in UTF-8")
    texts_per_job_limit: int = Field(1_000_000, gt=0, description="most texts in a job")
    domains_per_job_limit: int = Field(
        16, gt=0, description="most domains in a job: its state stays under 4 KiB"
    )
    retention_days: float | None = Field(
        None, gt=0, description="finished jobs are erased after so many days; unset: kept until DELETE"
    )
    json_depth_limit: int = Field(16, gt=0, description="deepest nesting of a JSON body")
