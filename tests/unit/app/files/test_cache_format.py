"""An ETag names the format of a file, so the libraries that write files may not change within a format."""

import re

from app.files.cache import FORMAT
from app.resources import ROOT

WRITERS = {7: {"matplotlib": "3.11.2", "pillow": "13.0.0", "pyarrow": "26.0.1"}}  # by format


def test_another_version_of_a_library_that_writes_files_is_another_format() -> None:
    """They write their version, or compress in another way. During an update of the service, API processes
    with the old and with the new version serve the same job; a download that continues at another process
    would be a mixture of both.

    If this fails, increase `cache.FORMAT` and replace the entry above.
    """
    pins = dict(re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE))
    assert {FORMAT: {name: pins[name] for name in WRITERS[FORMAT]}} == WRITERS
