"""The examples of docs/client.md run without changes."""

import re
from pathlib import Path

import pytest

from app.resources import ROOT
from layerscope import Client
from tests.support.programs.processes import RunningStack

DOCUMENT = (ROOT / "docs" / "client.md").read_text(encoding="utf-8")
FIRST, GENERATOR, READER = re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)


def test_the_examples_of_the_client_work(
    stack: RunningStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(FIRST.replace("http://127.0.0.1:8000", stack.base_url), "client.md", "exec"), {})
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == [str(i) for i in range(10)]
    Path("corpus.txt").write_text("one\ntwo\n")
    Path("texts.csv").write_text("text,label\na,x\n,x\nb,y\n")
    with Client(stack.base_url) as client:
        names = {"client": client}
        exec(compile(GENERATOR, "client.md", "exec"), names)
        job = client.submit(names["texts"](), model="demo").wait()  # type: ignore[operator]
        assert job.domains["corpus"].done == 2
        exec(compile(READER, "client.md", "exec"), names)
    printed = capsys.readouterr().out
    assert "DomainTally(texts=1" in printed
    assert "the text is empty" in printed
