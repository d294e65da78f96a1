"""What the checks are applied to, and the exceptions with their reasons."""

PRODUCT = ("layerscope", "app", "worker")
ENFORCED = (*PRODUCT, "tools", "benchmarks", "demo")
REPORTED = ("tests",)  # its sizes are shown and not limited

# The top-level packages that each package may import.
PACKAGES = {"layerscope": (), "app": ("layerscope",), "worker": ("layerscope", "app"), "tools": ()}

# The parts of each package from top to bottom: a part imports only parts of lower groups.
LAYERS = {
    "layerscope": (
        ("cli",),
        ("client", "conclusions", "core", "inputs", "stats"),
        ("text_forms", "values"),
        ("unknown_names",),
        ("addresses", "arrays", "errors", "names"),
    ),
    "layerscope.core": (
        ("analysis", "profile"),
        ("pipeline",),
        ("loading",),
        ("sums",),
        ("attention", "batching", "contribution", "hooks", "massive"),
        ("model", "tokenization", "transfer"),
        ("families", "types"),
    ),
    "app": (
        ("cli",),
        ("commands",),
        ("doctor",),
        ("main", "local"),
        ("api",),
        ("submission",),
        ("access", "jobs"),
        ("text_views",),
        ("charts",),
        ("files", "plots"),
        ("db", "models", "schemas", "tables"),
        ("text_schemas",),
        ("disk_space", "observation"),
        ("coordination", "errors", "logs", "resources", "settings"),
    ),
    "app.commands": (
        ("corpus_command",),
        ("profile_command",),
        ("dry_run", "key_commands", "model_commands"),
        ("corpus_task", "measuring_process", "run_models"),
        ("exit",),
    ),
    "worker": (
        ("__main__",),
        ("process",),
        ("corpus", "fetch_model", "load_failure", "tasks"),
        ("finalization",),
        ("measurement",),
        ("runtime",),
        ("observation",),
    ),
}

# Names that may be defined more than once in the three packages of the product, with the reason.
NAMES = {
    "Job": "the handle of a job in the client, and the row of a job in the database",
    "errors.py": "each package has a module for its own exceptions",
    "models.py": "the endpoint returns the models that app/models.py reads from models.toml",
}
