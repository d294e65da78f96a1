"""The links of the documents lead to existing files and headings, and every figure is shown in a document."""

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


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_anchors_lead_to_existing_headings(document: Path) -> None:
    links = re.findall(r"\]\(([^)#:]*\.md|)#([^)]+)\)", document.read_text(encoding="utf-8"))
    targets = [((document.parent / name) if name else document, anchor) for name, anchor in links]
    assert [anchor for target, anchor in targets if anchor not in anchors_of(target)] == []


def anchors_of(document: Path) -> set[str]:
    """The anchors that GitHub makes of the headings."""
    text = re.sub(r"^```.*?^```", "", document.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_images_of_the_readme_are_addresses_of_existing_files() -> None:
    """The README is also shown outside the repository, where relative addresses do not work."""
    images = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", (ROOT / "README.md").read_text(encoding="utf-8"))
    paths = [image.partition("/layerscope/main/")[2] for image in images]
    assert paths
    assert [image for image, path in zip(images, paths, strict=True) if not path.startswith("docs/")] == []
    assert [path for path in paths if not (ROOT / path).is_file()] == []


def test_every_figure_is_shown_in_a_document() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in DOCUMENTS)
    figures = list((ROOT / "docs" / "pictures").iterdir())
    assert figures
    assert [path.name for path in figures if f"pictures/{path.name}" not in text] == []
