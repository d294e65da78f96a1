"""`python -m worker.corpus FILE` runs a CorpusTask. `layerscope corpus` starts it."""

import sys
from pathlib import Path

from app.commands.corpus_task import CorpusTask
from app.commands.exit import run_as_command
from worker.corpus.run import run

if __name__ == "__main__":
    run_as_command(lambda: run(CorpusTask.read(Path(sys.argv[1]))))
