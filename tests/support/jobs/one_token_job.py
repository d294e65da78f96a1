"""A finished job two of whose domains have only texts of one token."""

from pathlib import Path
from uuid import UUID

from redis import Redis
from sqlalchemy.orm import Session, sessionmaker

from layerscope.core import load_model
from tests.support.jobs.measured_job import measured_job
from tests.support.models.tiny import causal_model, save


def one_token_job(sessions: sessionmaker[Session], redis: Redis, folder: Path) -> UUID:
    """With analysis `ablation`. The other domain is the last one."""
    domains = {"one": ["x", "y"], "single": ["x", "y"], "text": ["int x;", "y = 1"]}
    texts = [(domain, text) for domain, found in domains.items() for text in found]
    model = load_model(save(causal_model(), folder / "model", bos=False))
    return measured_job(model, sessions, redis, texts, analyses=["ablation"], analysis_texts=6)
