"""The job of `make real`: the sample texts at a running service, as a process of its own.

`python -m demo.real.job URL FOLDER` needs no PyTorch.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path

from app.errors import LayerscopeError
from app.local.sample_run import TABLES, SampleRun, profile, read_samples
from app.local.stop_signals import Stop, stop_on_signals

MODEL = "smollm2-135m-instruct-q4_1"  # its name in the model list and in the plots
# With the default of 64 texts of each domain, the analyses would take more than an hour on two cores.
OPTIONS = {"analyses": ["ablation", "logit_lens", "activations", "tokens"], "analysis_texts": 8}
# tokens.csv has the same rows as tokens.parquet, more than a million.
MORE_TABLES = ("results.json", "comparison.json", "first_token.json", "massive_tokens.json", "tokens.parquet")
RUN = SampleRun(MODEL, OPTIONS, TABLES + MORE_TABLES)


def first_texts(of_each_domain: int) -> dict[int, str]:
    """The first sample texts of each domain, by their ordinals in the job."""
    found: dict[int, str] = {}
    start = 0
    for texts in read_samples().values():
        found |= {start + place: text for place, text in enumerate(texts[:of_each_domain])}
        start += len(texts)
    return found


def run_as_command(action: Callable[[], None]) -> None:
    """Ends with one sentence at an error that the user can correct, and without one at a stop signal."""
    with stop_on_signals():
        try:
            action()
        except Stop as stop:
            sys.exit(stop.exit_code)
        except LayerscopeError as error:
            sys.exit(error.detail)


if __name__ == "__main__":
    key = os.environ.get("LAYERSCOPE_API_KEY")
    run_as_command(lambda: profile(sys.argv[1], Path(sys.argv[2]), run=RUN, key=key))
