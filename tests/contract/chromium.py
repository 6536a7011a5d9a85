"""Headless Chromium, told what to do by the DevTools protocol through two pipes.

`--remote-debugging-pipe` needs no client library and opens no port: commands go to the browser's
file descriptor 3, replies and events come from its descriptor 4, each a JSON text that ends in NUL.
"""

import base64
import contextlib
import fcntl
import json
import os
import select
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

BINARIES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SECONDS = 60.0
"""How long one answer of the browser is waited for."""

Scheme = Literal["light", "dark"]


def chromium_binary() -> str | None:
    """Returns the browser of this machine, or None."""
    return next((found for name in BINARIES if (found := shutil.which(name))), None)


@dataclass
class Chromium:
    """A browser with a profile of its own; use it as a context."""

    to_browser: int
    from_browser: int
    pid: int
    rest: bytes = b""
    last: int = 0
    events: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    @contextlib.contextmanager
    def started(cls, binary: str) -> Iterator[Self]:
        """Starts the browser, and ends it with all its processes."""
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
            ours, theirs = _pipes()
            arguments = [
                binary, "--headless=new", "--no-sandbox", "--remote-debugging-pipe",
                "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
                "--no-first-run", "--disable-background-networking", "--disable-sync",
                "--disable-component-update", "--force-color-profile=srgb",
                f"--user-data-dir={profile}", "about:blank",
            ]  # fmt: skip
            with Path(os.devnull).open("r+b") as silence:
                actions = [
                    *((os.POSIX_SPAWN_DUP2, silence.fileno(), stream) for stream in (0, 1, 2)),
                    (os.POSIX_SPAWN_DUP2, theirs[0], 3),
                    (os.POSIX_SPAWN_DUP2, theirs[1], 4),
                ]
                pid = os.posix_spawn(
                    binary, arguments, dict(os.environ), file_actions=actions, setsid=True
                )
            for descriptor in theirs:
                os.close(descriptor)
            browser = cls(to_browser=ours[1], from_browser=ours[0], pid=pid)
            try:
                yield browser
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                for descriptor in ours:
                    os.close(descriptor)

    def tell(self, method: str, session: str | None = None, /, **parameters: Any) -> dict[str, Any]:  # noqa: ANN401
        """Sends a command and returns its result; events that come before it are kept.

        Raises:
            RuntimeError: The browser refused it.
            TimeoutError: It said nothing.
        """
        self.last += 1
        message: dict[str, Any] = {"id": self.last, "method": method, "params": parameters}
        if session is not None:
            message["sessionId"] = session
        _write(self.to_browser, json.dumps(message).encode() + b"\0")
        while (reply := self._next(SECONDS)).get("id") != self.last:
            self.events.append(reply)
        if "error" in reply:
            raise RuntimeError(f"{method}: {reply['error']}")
        return reply["result"]

    def wait_for(self, method: str, session: str) -> dict[str, Any]:
        """Returns the first event of a name, waiting for it if it did not come yet."""
        for event in self.events:
            if event.get("method") == method and event.get("sessionId") == session:
                return event
        while True:
            event = self._next(SECONDS)
            self.events.append(event)
            if event.get("method") == method and event.get("sessionId") == session:
                return event

    def _next(self, seconds: float) -> dict[str, Any]:
        until = time.monotonic() + seconds
        while b"\0" not in self.rest:
            ready, _, _ = select.select([self.from_browser], [], [], until - time.monotonic())
            read = os.read(self.from_browser, 1 << 20) if ready else b""
            if not read:
                raise TimeoutError(f"Chromium ended, or said nothing for {seconds:g} seconds")
            self.rest += read
        text, _, self.rest = self.rest.partition(b"\0")
        return json.loads(text)


@dataclass(frozen=True, kw_only=True)
class Page:
    """A page that is open in a browser.

    Args:
        browser: Where it is.
        session: What commands to it are sent to.
    """

    browser: Chromium
    session: str

    @classmethod
    def opened(cls, browser: Chromium, url: str, width: int, scheme: Scheme = "light") -> Self:
        """Opens a page and waits until it is loaded."""
        target = browser.tell("Target.createTarget", url="about:blank")["targetId"]
        session = browser.tell("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = cls(browser=browser, session=session)
        for domain in ("Page", "Runtime", "Log", "Network"):
            page.tell(f"{domain}.enable")
        page.appear(width=width, scheme=scheme)
        browser.events.clear()
        page.tell("Page.navigate", url=url)
        browser.wait_for("Page.loadEventFired", session)
        return page

    def tell(self, method: str, **parameters: Any) -> dict[str, Any]:  # noqa: ANN401
        """Sends a command to this page."""
        return self.browser.tell(method, self.session, **parameters)

    def appear(self, *, width: int, scheme: Scheme) -> None:
        """Sets how wide the window is and which colours the reader prefers."""
        self.tell(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=900, deviceScaleFactor=1, mobile=False,
        )  # fmt: skip
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.tell("Emulation.setEmulatedMedia", media="screen", features=features)

    def value_of(self, expression: str) -> Any:  # noqa: ANN401
        """Returns what a JavaScript expression, or the promise that it gives, comes to.

        Raises:
            RuntimeError: It threw.
        """
        found = self.tell(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        if "exceptionDetails" in found:
            raise RuntimeError(str(found["exceptionDetails"]))
        return found["result"].get("value")

    def screenshot(self, path: Path) -> Path:
        """Writes the whole page as a PNG."""
        taken = self.tell("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(taken["data"]))
        return path

    def printed(self, path: Path) -> Path:
        """Writes the page as it comes out of a printer, as a PDF on A4."""
        self.tell("Emulation.setEmulatedMedia", media="print", features=[])
        printed = self.tell(
            "Page.printToPDF", printBackground=True, paperWidth=8.27, paperHeight=11.69
        )
        path.write_bytes(base64.b64decode(printed["data"]))
        return path

    def complaints(self) -> list[str]:
        """Returns every error and warning of the console so far, and every exception."""
        found: list[str] = []
        for event in self._events():
            about = event["params"]
            if event["method"] == "Log.entryAdded" and about["entry"]["level"] in _BAD:
                found.append(about["entry"]["text"])
            elif event["method"] == "Runtime.consoleAPICalled" and about["type"] in _BAD:
                found.append(str([each.get("value") for each in about["args"]]))
            elif event["method"] == "Runtime.exceptionThrown":
                found.append(str(about["exceptionDetails"]))
        return found

    def requests(self) -> list[str]:
        """Returns every address that the page asked for so far."""
        asked = (e for e in self._events() if e["method"] == "Network.requestWillBeSent")
        return [event["params"]["request"]["url"] for event in asked]

    def _events(self) -> Iterator[dict[str, Any]]:
        return (e for e in self.browser.events if e.get("sessionId") == self.session)


_BAD = ("error", "warning", "assert")


def _pipes() -> tuple[tuple[int, int], tuple[int, int]]:
    """Returns our ends and theirs, each to read and to write, above the standard descriptors."""
    their_read, our_write = os.pipe()
    our_read, their_write = os.pipe()
    high = [fcntl.fcntl(x, fcntl.F_DUPFD_CLOEXEC, 20) for x in (their_read, their_write)]
    os.close(their_read)
    os.close(their_write)
    return (our_read, our_write), (high[0], high[1])


def _write(descriptor: int, content: bytes) -> None:
    while content:
        content = content[os.write(descriptor, content) :]
