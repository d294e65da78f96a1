"""Runs a notebook's cells one after the other, as Jupyter does: Python in one namespace, `%%bash` in bash.

    python -m tests.support.notebook

stores in `docs/tutorial.ipynb` what its cells print with the service at 127.0.0.1:8000.
"""

import contextlib
import io
import json
import os
import subprocess
from pathlib import Path
from typing import Any

from app.resources import ROOT

TUTORIAL = ROOT / "docs" / "tutorial.ipynb"
BASE_URL = "http://127.0.0.1:8000"
BASH = "%%bash\n"

Cell = dict[str, Any]


def read(path: Path = TUTORIAL) -> Cell:
    notebook: Cell = json.loads(path.read_text(encoding="utf-8"))
    return notebook


def code_cells(notebook: Cell) -> list[Cell]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def stored(cell: Cell) -> str:
    return "".join(line for output in cell["outputs"] for line in output["text"])


def run(notebook: Cell, base_url: str) -> list[str]:
    """What each code cell prints; the tutorial's cells end with no bare expression.

    Raises: whatever a cell raises; CalledProcessError where a line of bash fails.
    """
    names: dict[str, Any] = {}
    sources = ("".join(cell["source"]).replace(BASE_URL, base_url) for cell in code_cells(notebook))
    return [_bash(source) if source.startswith(BASH) else _python(source, names) for source in sources]


def _bash(source: str) -> str:
    lines = source.removeprefix(BASH).replace("curl -s", "curl --fail-with-body -s")
    command = ("bash", "-euo", "pipefail", "-c", lines)
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def _python(source: str, names: dict[str, Any]) -> str:
    with contextlib.redirect_stdout(io.StringIO()) as out:
        exec(compile(source, TUTORIAL.name, "exec"), names)
    return out.getvalue()


def main() -> None:
    notebook = read()
    os.chdir(TUTORIAL.parent)
    for number, (cell, text) in enumerate(
        zip(code_cells(notebook), run(notebook, BASE_URL), strict=True), start=1
    ):
        output = {"name": "stdout", "output_type": "stream", "text": text.splitlines(keepends=True)}
        cell.update(execution_count=number, outputs=[output])
    TUTORIAL.write_text(json.dumps(notebook, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
