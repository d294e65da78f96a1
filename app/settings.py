"""All settings and limits of the service; docs/operations.md describes each one. Names contain the unit.

Only entry points create `Settings`. All other code receives values.
"""

from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

KIB = 1024
MIB = 1024 * KIB


def _names(given: Any) -> Any:
    """The names in a list with commas; anything else as it is."""
    return tuple(filter(None, map(str.strip, given.split(",")))) if isinstance(given, str) else given


class Settings(BaseSettings):
    """Environment variables: `LAYERSCOPE_LEASE_SECONDS` sets the field `lease_seconds`."""

    model_config = SettingsConfigDict(env_prefix="LAYERSCOPE_", frozen=True, extra="forbid")

    home: Path = Path("var")
    database_url: str | None = None
    redis_url: str | None = None
    models: Path | None = None

    allowed_hosts: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_names)] = ()

    protect_system: bool = False

    traces_endpoint: str | None = None
    worker_metrics_port: int | None = Field(None, ge=0, le=65535)
    worker_metrics_host: str = "127.0.0.1"

    lease_seconds: float = Field(60, gt=0)
    sweep_seconds: float = Field(10, gt=0)
    drain_seconds: float = Field(60, gt=0)
    stop_seconds: float = Field(20, ge=0)
    model_wait_seconds: float = Field(3600, gt=0)
    shard_characters: int = Field(65_536, gt=0)
    shard_texts: int = Field(512, gt=0)

    connections_limit: int = Field(1300, gt=0)
    header_seconds: float = Field(10, gt=0)
    body_seconds: float = Field(60, gt=0)
    body_bytes_per_second: int = Field(10 * KIB, gt=0)
    uploads_limit: int = Field(64, gt=0)
    submissions_limit: int = Field(8, gt=0)
    documents_limit_bytes: int = Field(128 * MIB, gt=0)
    waiting_limit: int = Field(1000, gt=0)
    files_waiting_limit: int = Field(128, gt=0)
    drawing_seconds: float = Field(60, gt=0)
    files_limit_bytes: int = Field(20 * 1024 * MIB, gt=0)

    invalid_keys_per_minute: int = Field(600, gt=0)
    owner_requests_per_minute: int = Field(6000, gt=0)
    owner_live_jobs_limit: int = Field(1000, gt=0)
    owner_queued_texts_limit: int = Field(10_000_000, gt=0)
    owner_stored_bytes_limit: int = Field(100 * 1024 * MIB, gt=0)

    body_limit_bytes: int = Field(32 * MIB, gt=0)
    ndjson_limit_bytes: int = Field(4096 * MIB, gt=0)
    gzip_expansion_limit: int = Field(100, gt=0)
    text_limit_bytes: int = Field(1 * MIB, gt=0)
    texts_per_job_limit: int = Field(1_000_000, gt=0)
    domains_per_job_limit: int = Field(16, gt=0)
    retention_days: float | None = Field(None, gt=0)
    json_depth_limit: int = Field(16, gt=0)
    json_values_limit: int = Field(1_000_000, gt=0)
