"""Debian's Chromium, driven over its own DevTools protocol."""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--mute-audio", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-extensions",
    "--autoplay-policy=no-user-gesture-required",
]  # fmt: skip
_SECONDS = 30.0


class Tab:
    """One tab of a browser. What it asked the network for, and what it complained about, is kept."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._number = 0
        self._session: dict[str, str] = {}
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self._loads = 0
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = {
            "sessionId": self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        }  # fmt: skip
        for domain in ("Page", "Network", "Log", "Runtime"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: object) -> Mapping[str, Any]:
        """A command of the protocol, and its answer. RuntimeError when it is refused."""
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": parameters} | self._session))
        while (message := json.loads(self._socket.recv(timeout=_SECONDS))).get("id") != self._number:
            self._note(message)
        if "error" in message:
            raise RuntimeError(f"{method}: {message['error']}")
        result: Mapping[str, Any] = message["result"]
        return result

    def sign_in(self, url: str, token: str) -> None:
        """As the user with this token of Airflow's, as its own pages keep it."""
        self.call("Network.setCookie", name="_token", value=token, url=url, httpOnly=True, sameSite="Lax")

    def look(self, *, width: int = 1280, height: int = 900, dark: bool = False, scripts: bool = True) -> None:
        """As on such a screen, in such colours."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.call("Emulation.setScriptExecutionDisabled", value=not scripts)

    def open(self, url: str) -> None:
        """Go there, and wait until it is loaded."""
        loads = self._loads
        self.call("Page.navigate", url=url)
        while self._loads == loads:
            self._note(json.loads(self._socket.recv(timeout=_SECONDS)))

    def evaluate(self, expression: str) -> Any:
        """What an expression gives in the page. RuntimeError when it throws."""
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in found:
            raise RuntimeError(f"{expression}: {found['exceptionDetails']}")
        return found["result"].get("value")

    def wait_for(self, expression: str) -> Any:
        """What an expression gives once that is true of it. AssertionError when it never is."""
        deadline = time.monotonic() + _SECONDS
        while not (found := self.evaluate(expression)):
            assert time.monotonic() < deadline, f"{expression} stays {found!r} at {self.evaluate('location.href')}"
            time.sleep(0.1)
        return found

    def _note(self, message: Mapping[str, Any]) -> None:
        told = message.get("params", {})
        match message.get("method"):
            case "Page.loadEventFired":
                self._loads += 1
            case "Network.requestWillBeSent":
                self.requests.append(told["request"]["url"])
            case "Log.entryAdded":
                self.complaints.append(told["entry"]["text"])
            case "Runtime.exceptionThrown":
                self.complaints.append(str(told["exceptionDetails"]))


@contextmanager
def browser(profile: Path) -> Iterator[Tab]:
    """A browser with a profile of its own, and a tab in it."""
    process = subprocess.Popen(
        [str(BROWSER), *FLAGS, f"--user-data-dir={profile}", "--remote-debugging-port=0", "about:blank"],
        start_new_session=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        with connect(_address(profile / "DevToolsActivePort"), proxy=None, max_size=None) as socket:
            yield Tab(socket)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _address(told: Path) -> str:
    deadline = time.monotonic() + _SECONDS
    while not told.exists() or told.read_text().count("\n") < 1:
        assert time.monotonic() < deadline, "Chromium did not start"
        time.sleep(0.05)
    port, path = told.read_text().splitlines()[:2]
    return f"ws://127.0.0.1:{port}{path}"
