"""What the documents refer to is there."""

import re
from pathlib import Path

import pytest

from app.settings import ROOT

FOLDERS = (ROOT, ROOT / "docs", ROOT / "docs" / "adr", ROOT / "demo", ROOT / "samples")
DOCUMENTS = [path for folder in FOLDERS for path in (*folder.glob("*.md"), *folder.glob("*.ipynb"))]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_that_are_linked_to_are_there(document: Path) -> None:
    places = re.findall(r"\]\(([^)#:]+)[^):]*\)", document.read_text(encoding="utf-8"))
    assert [place for place in places if not (document.parent / place).exists()] == []


def test_a_picture_that_is_shown_nowhere_would_be_noticed() -> None:
    shown = "".join(path.read_text(encoding="utf-8") for path in DOCUMENTS)
    pictures = list((ROOT / "docs" / "pictures").iterdir())
    assert pictures
    assert [path.name for path in pictures if f"pictures/{path.name}" not in shown] == []
