"""The links of the documents lead to existing files, and every figure is shown in a document."""

import re
from pathlib import Path

import pytest

from app.resources import ROOT

FOLDERS = (ROOT, ROOT / "docs", ROOT / "docs" / "adr", ROOT / "demo", ROOT / "samples")
DOCUMENTS = [path for folder in FOLDERS for path in (*folder.glob("*.md"), *folder.glob("*.ipynb"))]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_to_existing_files(document: Path) -> None:
    targets = re.findall(r"\]\(([^)#:]+)[^):]*\)", document.read_text(encoding="utf-8"))
    assert [target for target in targets if not (document.parent / target).exists()] == []


def test_every_figure_is_shown_in_a_document() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in DOCUMENTS)
    figures = list((ROOT / "docs" / "pictures").iterdir())
    assert figures
    assert [path.name for path in figures if f"pictures/{path.name}" not in text] == []
