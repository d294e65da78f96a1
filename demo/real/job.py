"""The job of `make real`: the sample texts at a running service, as a process of its own.

`python -m demo.real.job URL FOLDER` needs no PyTorch.
"""

import json
import sys
from pathlib import Path

from app.commands.exit import run_as_command
from app.resources import SAMPLES
from layerscope import Client
from layerscope.cli.profiling.measure import TABLES, Destination, finish_job

MODEL = "smollm2-135m-instruct-q4_1"  # its name in the model list and in the plots
# With the default of 64 texts of each domain, the analyses would take more than an hour on two cores.
ANALYSES, ANALYSIS_TEXTS = ("ablation", "logit_lens", "activations", "tokens"), 8
# tokens.csv has the same rows as tokens.parquet, more than a million.
FILES = (
    *TABLES,
    *("results.json", "comparison.json", "first_token.json", "massive_tokens.json", "tokens.parquet"),
)


def read_samples() -> dict[str, list[str]]:
    """The texts of each domain, in the order of the job."""
    return {file.stem: json.loads(file.read_text("utf-8")) for file in sorted(SAMPLES.glob("*.json"))}


def first_texts(of_each_domain: int) -> dict[int, str]:
    """The first sample texts of each domain, by their ordinals in the job."""
    found: dict[int, str] = {}
    start = 0
    for texts in read_samples().values():
        found |= {start + place: text for place, text in enumerate(texts[:of_each_domain])}
        start += len(texts)
    return found


def run(url: str, out: Path) -> None:
    """Raises: ClientError."""
    with Client(url) as client:
        samples = read_samples()
        job = client.submit(samples, MODEL, "samples", analyses=ANALYSES, analysis_texts=ANALYSIS_TEXTS)
        finish_job(client, job, Destination(out, FILES))


if __name__ == "__main__":
    run_as_command(lambda: run(sys.argv[1], Path(sys.argv[2])))
