"""The HTTP service on a real uvicorn, one for all tests, with empty tables for each."""

from collections.abc import Iterator

import httpx
import pytest

from app.local.embedded import Servers
from app.settings import ROOT, Settings
from tests.service.serving import serving


@pytest.fixture(scope="session")
def api_settings(
    embedded_servers: Servers, migrated_database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Settings:
    return Settings(
        home=tmp_path_factory.mktemp("api"),
        database_url=migrated_database_url,
        redis_url=embedded_servers.redis_url,
        models=ROOT / "models.toml",
        sweep_seconds=3600,
    )


@pytest.fixture(scope="session")
def api_url(api_settings: Settings) -> Iterator[str]:
    with serving(api_settings) as url:
        yield url


@pytest.fixture
def api(api_url: str, database_url: str, redis_url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=api_url, timeout=30) as client:
        yield client
