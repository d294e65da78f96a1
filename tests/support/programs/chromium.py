"""A real Chromium, driven by Playwright."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from playwright.sync_api import ConsoleMessage, Dialog, Error, Page, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
REBOUND = "rebound.example"  # a name of another site that leads to this machine
ARGUMENTS = [
    *("--no-sandbox", "--disable-dev-shm-usage"),  # the tests may run as root in a container
    f"--host-resolver-rules=MAP {REBOUND} 127.0.0.1",
]
POLLS, POLL_MILLISECONDS = 600, 50
INSTALL = "no Chromium on this machine: apt-get install chromium"


def find_chromium() -> str | None:
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Browser:
    """One tab. Dialogs are accepted. `errors` contains the errors of the page and of its console."""

    def __init__(self, page: Page) -> None:
        self.errors: list[str] = []
        self._page = page
        self._devtools = page.context.new_cdp_session(page)
        page.on("dialog", Dialog.accept)
        page.on("console", self._note)
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def open(self, url: str) -> None:
        self._page.goto(url)

    def evaluate(self, expression: str) -> Any:
        return self._page.evaluate(expression)

    def wait_for(self, condition: str) -> None:
        """Waits until an expression is true. Playwright's own wait needs `eval`, which our pages forbid."""
        for _ in range(POLLS):
            if self._is_true(condition):
                return
            self._page.wait_for_timeout(POLL_MILLISECONDS)
        raise AssertionError(f"{condition}: {self.text()}")

    def _is_true(self, condition: str) -> bool:
        try:
            return bool(self.evaluate(condition))
        except Error as error:
            if "navigation" not in error.message:
                raise
            return False  # the next page is being loaded

    def click(self, selector: str) -> None:
        self._page.click(selector)

    def fill(self, selector: str, value: str) -> None:
        self._page.fill(selector, value)

    def choose_files(self, selector: str, *files: Path) -> None:
        self._page.set_input_files(selector, files)

    def drop_files(self, selector: str, *files: Path) -> None:
        """Drops files of this machine, as a person does with the mouse. Playwright has no such function."""
        self._page.locator(selector).scroll_into_view_if_needed()
        box = self._page.locator(selector).bounding_box()
        assert box is not None
        data = {"items": [], "files": [str(file) for file in files], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            place = {"x": box["x"] + 5, "y": box["y"] + 5}
            self._devtools.send("Input.dispatchDragEvent", {"type": kind, "data": data, **place})

    def press(self, *keys: str) -> None:
        """Presses keys of the keyboard; they arrive where the focus is."""
        for key in keys:
            self._page.keyboard.press(key)

    def download(self, selector: str) -> tuple[str, str]:
        """Clicks, and returns the name and the text of the file that is downloaded."""
        with self._page.expect_download() as download:
            self._page.click(selector)
        return download.value.suggested_filename, download.value.path().read_text()

    def show_at(self, width: int, scheme: Literal["light", "dark"]) -> None:
        """The width of the window, and the colour scheme."""
        self._page.set_viewport_size({"width": width, "height": 800})
        self._page.emulate_media(color_scheme=scheme)

    def run_scripts(self, allowed: bool) -> None:
        """Whether pages run their scripts. `evaluate` works without them, too."""
        self._devtools.send("Emulation.setScriptExecutionDisabled", {"value": not allowed})

    def load_images(self) -> None:
        """Load also the images that are not visible yet."""
        self.evaluate("[...document.images].forEach((image) => (image.loading = 'eager'))")
        self.wait_for("[...document.images].every((image) => image.complete)")

    def text(self) -> str:
        return self._page.inner_text("body")

    def _note(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.errors.append(message.text)


@contextmanager
def running_chromium(program: str, profile: Path) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            profile, executable_path=program, args=ARGUMENTS
        )
        try:
            yield Browser(context.pages[0])
        finally:
            context.close()
