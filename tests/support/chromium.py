"""A real Chromium, controlled by its DevTools protocol through a pipe, without any package."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-pipe",
)
# Chromium reads from descriptor 3 and writes to descriptor 4; the pipes have other numbers here.
LAUNCHER = """
import fcntl, os, sys
ours = [fcntl.fcntl(int(number), fcntl.F_DUPFD, 10) for number in sys.argv[1:3]]
for descriptor, number in zip(ours, (3, 4)):
    os.dup2(descriptor, number)
os.execv(sys.argv[3], sys.argv[3:])
"""
SECONDS = 30.0
KEY_CODES = {"Tab": 9, "Enter": 13, "End": 35, "Home": 36, "ArrowLeft": 37, "ArrowRight": 39, "ArrowDown": 40}
INSTALL = "no Chromium on this machine: apt-get install chromium"


def find_chromium() -> str | None:
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Browser:
    """One tab. Dialogs are accepted. `errors` contains the errors and log entries of the page."""

    def __init__(self, write: IO[bytes], read: IO[bytes]) -> None:
        self.errors: list[str] = []
        self._write, self._read, self._last_id = write, read, 0
        self._session: str | None = None
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "DOM"):
            self._call(f"{domain}.enable")

    def open(self, url: str) -> None:
        self._call("Page.navigate", url=url)
        self.wait_for(f"document.readyState === 'complete' && location.href === {json.dumps(url)}")

    def evaluate(self, expression: str) -> Any:
        answer = self._call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def wait_for(self, condition: str) -> None:
        give_up = time.monotonic() + SECONDS
        while not self.evaluate(condition):
            assert time.monotonic() < give_up, f"{condition}: {self.evaluate('document.body.innerText')}"
            time.sleep(0.05)

    def click(self, selector: str) -> None:
        self.evaluate(f"document.querySelector({json.dumps(selector)}).click()")

    def fill(self, selector: str, value: str) -> None:
        self.evaluate(f"document.querySelector({json.dumps(selector)}).value = {json.dumps(value)}")

    def choose_files(self, selector: str, *files: Path) -> None:
        root = self._call("DOM.getDocument")["root"]["nodeId"]
        node = self._call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self._call("DOM.setFileInputFiles", nodeId=node, files=[str(file) for file in files])

    def drop_files(self, selector: str, *files: Path) -> None:
        """Drops files of this machine, as a person does with the mouse."""
        box = f"document.querySelector({json.dumps(selector)}).getBoundingClientRect()"
        self.evaluate(f"document.querySelector({json.dumps(selector)}).scrollIntoView()")
        x, y = (float(self.evaluate(f"({box}).{side}")) + 5 for side in ("x", "y"))
        data = {"items": [], "files": [str(file) for file in files], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            self._call("Input.dispatchDragEvent", type=kind, x=x, y=y, data=data)

    def press(self, *keys: str) -> None:
        """Presses keys of the keyboard; they arrive where the focus is."""
        for key in keys:
            for kind in ("rawKeyDown", "keyUp"):
                code = KEY_CODES[key]
                self._call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code)

    def allow_downloads(self, folder: Path) -> None:
        self._call("Page.setDownloadBehavior", behavior="allow", downloadPath=str(folder))

    def show_at(self, width: int, scheme: str) -> None:
        """The width of the window, and the colour scheme: light or dark."""
        self._call(
            "Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=False
        )
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self._call("Emulation.setEmulatedMedia", features=[feature])

    def run_scripts(self, allowed: bool) -> None:
        """Whether pages run their scripts. `evaluate` works without them, too."""
        self._call("Emulation.setScriptExecutionDisabled", value=not allowed)

    def load_images(self) -> None:
        """Load also the images that are not visible yet."""
        self.evaluate("[...document.images].forEach((image) => (image.loading = 'eager'))")
        self.wait_for("[...document.images].every((image) => image.complete)")

    def text(self) -> str:
        return str(self.evaluate("document.body.innerText"))

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        call_id = self._send(method, parameters)
        while True:
            message = self._receive()
            if message.get("id") == call_id:
                assert "error" not in message, message
                result: dict[str, Any] = message["result"]
                return result
            self._note(message)

    def _send(self, method: str, parameters: dict[str, Any]) -> int:
        self._last_id += 1
        message = {"id": self._last_id, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        self._write.write(json.dumps(message).encode() + b"\0")
        self._write.flush()
        return self._last_id

    def _receive(self) -> dict[str, Any]:
        received = bytearray()
        while (byte := self._read.read(1)) != b"\0":
            assert byte, "Chromium has ended"
            received += byte
        message: dict[str, Any] = json.loads(received)
        return message

    def _note(self, message: dict[str, Any]) -> None:
        match message.get("method"):
            case "Page.javascriptDialogOpening":
                self._send("Page.handleJavaScriptDialog", {"accept": True})
            case "Log.entryAdded":
                self.errors.append(message["params"]["entry"]["text"])
            case "Runtime.exceptionThrown":
                self.errors.append(json.dumps(message["params"]["exceptionDetails"]))


@contextmanager
def running_chromium(program: str, profile: Path) -> Iterator[Browser]:
    (its_input, our_output), (our_input, its_output) = os.pipe(), os.pipe()
    launch = (sys.executable, "-c", LAUNCHER, str(its_input), str(its_output))
    command = (*launch, program, *ARGUMENTS, f"--user-data-dir={profile}")
    process = subprocess.Popen(command, pass_fds=(its_input, its_output), stderr=subprocess.DEVNULL)
    os.close(its_input)
    os.close(its_output)
    try:
        with open(our_output, "wb") as write, open(our_input, "rb") as read:
            yield Browser(write, read)
    finally:
        process.terminate()
        process.wait(SECONDS)
