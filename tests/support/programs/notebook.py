"""Runs a notebook in a Jupyter kernel, as its readers do.

    LAYERSCOPE_SERVER=http://127.0.0.1:8000 python -m tests.support.programs.notebook

stores in `docs/tutorial.ipynb` what its cells show with a running service.
"""

from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

from app.resources import ROOT

TUTORIAL = ROOT / "docs" / "tutorial.ipynb"
CELL_SECONDS = 120


def read(path: Path = TUTORIAL) -> Any:
    return nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]


def code_cells(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def printed(cell: Any) -> str:
    return "".join(output.text for output in cell.outputs if output.output_type == "stream")


def shown(cell: Any) -> list[set[str]]:
    """The media types of what a cell displays. Its contents name the job, which differs from run to run."""
    return [set(output.data) for output in cell.outputs if output.output_type != "stream"]


def run(notebook: Any) -> None:
    """Executes all cells. They use the service that LAYERSCOPE_SERVER names. Raises: CellExecutionError."""
    resources = {"metadata": {"path": str(TUTORIAL.parent)}}
    client = NotebookClient(notebook, timeout=CELL_SECONDS, resources=resources, record_timing=False)
    client.execute()


def main() -> None:
    notebook = read()
    run(notebook)
    nbformat.write(notebook, TUTORIAL)  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main()
