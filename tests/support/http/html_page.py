"""A page as the service sends it, parsed."""

from html.parser import HTMLParser

import httpx

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
# Redoc inserts its rules into empty style elements; the first hash is that of the empty string.
STYLES_OF_REDOC = (
    "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"
    " 'sha256-QMIg+bpjm3JdElJ388KYke01izlUW0UoNOeKjpMxdgc='"
)
POLICY_OF_DOCS = (
    f"default-src 'none'; script-src 'self'; style-src 'self' {STYLES_OF_REDOC}; worker-src blob:; "
    "img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
VOID = ("meta", "link", "img", "input", "br", "wbr")

Attributes = dict[str, str | None]


class Page(HTMLParser):
    """Every element with its attributes and the names of its ancestors, and the text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, Attributes, tuple[str, ...]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs), tuple(self._open)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, *tags: str) -> list[Attributes]:
        return [attributes for tag, attributes, _ in self.elements if tag in tags]

    def addresses(self) -> set[str]:
        return {value for _, a, _ in self.elements for name in ("href", "src") if (value := a.get(name))}


def read(api: httpx.Client, path: str, status_code: int = 200) -> Page:
    answer = api.get(path)
    assert answer.status_code == status_code
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert answer.headers["Content-Security-Policy"] == (POLICY_OF_DOCS if path == "/docs" else POLICY)
    return Page(answer.text)
