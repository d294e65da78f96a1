"""The model of this process, loaded so that all workers of a model on like machines give the same bits.

Which of two equal products is the faster one is found by timing, which noise can turn. What the first
worker of a machine type found is written down, and the others take it over.
"""

import importlib.metadata
import platform
import re
from pathlib import Path
from typing import Any

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session, sessionmaker

from app.coordination import CLOCK
from app.models import ModelConfig
from app.settings import Settings
from app.tables import LoadedModel
from layerscope.core import Model, load_model

CHOICES = ("matmul", "reduction")
PACKAGES = ("layerscope", "torch", "transformers", "numpy")

Facts = dict[str, Any]


def load(
    name: str, config: ModelConfig, settings: Settings, sessions: sessionmaker[Session]
) -> tuple[Model, Facts]:
    """The model, and what is stored with everything measured by it. Raises: ModelError."""
    with sessions.begin() as session:
        row = session.get(LoadedModel, name)
        known = row.measured_with if row else {}
    model = _load(config, settings, known if known.get("machine") == machine() else {})
    facts = describe(model, config)
    agreed = agree(sessions, name, facts)
    if agreed != facts:
        model = _load(config, settings, agreed)
        facts = describe(model, config)
    return model, facts


def _load(config: ModelConfig, settings: Settings, choices: Facts) -> Model:
    source = config.source
    if (folder := config.folder / source).is_dir():
        source = str(folder)
    wanted = {choice: choices[choice] for choice in CHOICES if choice in choices}
    return load_model(source, config.revision, config.dtype, config.device, **wanted)


def describe(model: Model, config: ModelConfig) -> Facts:
    """What this process measures with; the source as configured, never a path of this machine."""
    return {
        "source": config.source,
        "revision": model.revision,
        "layers": model.layers,
        "hidden_size": model.hidden_size,
        "dtype": model.dtype,
        "device": model.device,
        "max_tokens": min(config.max_tokens or model.max_tokens, model.max_tokens),
        "attention": model.attention,
        "matmul": model.matmul,
        "reduction": model.reduction,
        "machine": machine(),
        "versions": {package: importlib.metadata.version(package) for package in PACKAGES},
    }


def machine() -> str:
    """The type of the processor: what was the faster product on it holds for all of its type."""
    try:
        names = re.findall(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    except OSError:
        names = []
    return names[0] if names else platform.machine()


def agree(sessions: sessionmaker[Session], name: str, facts: Facts) -> Facts:
    """Write down what was found; or what another worker of the model on such a machine found first."""
    with sessions.begin() as session:
        session.execute(insert(LoadedModel).values(name=name, measured_with=facts).on_conflict_do_nothing())
        row = session.get_one(LoadedModel, name, with_for_update=True)
        if _without_choices(row.measured_with) != _without_choices(facts):
            row.measured_with = facts
        row.loaded_at = CLOCK
        return dict(row.measured_with)


def _without_choices(facts: Facts) -> Facts:
    return {name: value for name, value in facts.items() if name not in CHOICES}
