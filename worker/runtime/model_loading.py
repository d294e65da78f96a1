"""Loads the model of this process and records what it computes with."""

import importlib.metadata
import platform
import re
from pathlib import Path
from typing import Any

from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session, sessionmaker

from app.coordination import CLOCK
from app.models import ModelConfig
from app.tables import LoadedModel, ModelFailure
from layerscope.core import Model, load_model
from layerscope.core.loading.tokenizers.added_tokens import around_texts
from layerscope.core.massive import MASSIVE_FACTOR
from layerscope.core.tokenization.chat import has_chat_template

PACKAGES = ("layerscope", "torch", "transformers", "numpy")

Facts = dict[str, Any]


def load(name: str, config: ModelConfig, sessions: sessionmaker[Session]) -> tuple[Model, Facts]:
    """The model, and the facts that are stored with everything measured by it. Raises: ModelError.

    What `load_model` chooses depends only on the model, the processor and the installed software, not on
    timing. Therefore all workers of a model on machines of one kind give the same bits.
    """
    folder = config.folder / config.source
    source = str(folder) if folder.is_dir() else config.source
    model = load_model(source, config.revision, config.dtype, config.device, matmul=config.matmul or "auto")
    facts = describe(model, config)
    record(sessions, name, facts)
    return model, facts


def describe(model: Model, config: ModelConfig) -> Facts:
    """What this process measures with. The source is the configured one, never a path of this machine."""
    return {
        "source": config.source,
        "revision": model.revision,
        "layers": model.layers,
        "hidden_size": model.hidden_size,
        "dtype": model.dtype,
        "device": model.device,
        "max_tokens": min(config.max_tokens or model.max_tokens, model.max_tokens),
        "chat_template": has_chat_template(model.tokenizer),
        "special_tokens": around_texts(model.tokenizer)._asdict(),
        "attention": model.attention,
        "matmul": model.matmul,
        "reduction": model.reduction,
        "modules": model.modules,
        "rotary": model.rotary,
        "massive_factor": MASSIVE_FACTOR,
        "machine": machine(),
        "versions": {package: importlib.metadata.version(package) for package in PACKAGES},
    }


def machine() -> str:
    """The type of the processor, which decides which instructions the libraries use."""
    try:
        names = re.findall(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    except OSError:
        names = []
    return names[0] if names else platform.machine()


def record(sessions: sessionmaker[Session], name: str, facts: Facts) -> None:
    """Store the facts as those of the last worker that loaded the model, and forget failures to load it."""
    row = insert(LoadedModel).values(name=name, measured_with=facts)
    update = {"measured_with": row.excluded.measured_with, "loaded_at": CLOCK}
    with sessions.begin() as session:
        session.execute(row.on_conflict_do_update(index_elements=["name"], set_=update))
        session.execute(delete(ModelFailure).where(ModelFailure.name == name))
