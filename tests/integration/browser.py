"""Chromium without a window, spoken to over its debugging pipe: what a page shows, what it asks
for, what it complains of."""

import base64
import contextlib
import json
import os
import select
import signal
import subprocess
import time

import spaces

OPTIONS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
           "--disable-background-networking", "--disable-component-update", "--no-first-run",
           "--hide-scrollbars", "--remote-debugging-pipe"]
START = 120  # s, on a machine that is busy; as long as a picture of 1,000 rows may take


class Browser:
    """In namespace `ns`, or in the caller's own."""

    def __init__(self, folder, ns=None):
        ours, theirs = os.pipe(), os.pipe()
        self._write, self._read = ours[1], theirs[0]
        words = ["chromium", *OPTIONS, f"--user-data-dir={folder}", "about:blank"]
        if ns:
            words = ["nsenter", f"--net={spaces.NETNS}/{ns}", "--", *words]

        def place():  # it reads from 3 and writes to 4
            os.dup2(ours[0], 20)
            os.dup2(theirs[1], 21)
            os.dup2(20, 3)
            os.dup2(21, 4)

        self._log = open(os.path.join(folder, "chromium.log"), "w")
        self._child = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=self._log,
                                       stderr=self._log, preexec_fn=place, close_fds=False,
                                       start_new_session=True)
        os.close(ours[0])
        os.close(theirs[1])
        self._rest, self._id, self._session = b"", 0, None
        self.requests, self.complaints = [], []
        target = self.call("Target.createTarget", START, url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target,
                                  flatten=True)["sessionId"]
        for domain in ("Network", "Runtime", "Log", "Page"):
            self.call(f"{domain}.enable")

    def close(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._child.pid, signal.SIGKILL)
        self._child.wait()
        self._log.close()

    def _messages(self, timeout):
        """Those that have come within that time, one by one."""
        deadline = time.monotonic() + timeout
        while True:
            while b"\0" in self._rest:
                text, self._rest = self._rest.split(b"\0", 1)
                yield json.loads(text)
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._read], [], [], left)[0]:
                return
            data = os.read(self._read, 1 << 20)
            if not data:
                raise RuntimeError("chromium ended")
            self._rest += data

    def _note(self, message):
        method, params = message.get("method"), message.get("params", {})
        if method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif method == "Log.entryAdded":
            self.complaints.append(params["entry"]["text"])
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(params["exceptionDetails"]["text"])

    def call(self, method, timeout=30, **params):
        self._id += 1
        message = {"id": self._id, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        for answer in self._messages(timeout):
            if answer.get("id") == self._id:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']['message']}")
                return answer["result"]
            self._note(answer)
        raise TimeoutError(f"chromium does not answer {method}")

    def wait(self, seconds):
        for message in self._messages(seconds):
            self._note(message)

    def open(self, url):
        self.call("Page.navigate", url=url)

    def value(self, expression):
        """Of JavaScript in the page."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        return result["result"].get("value")

    def text(self):
        return self.value("document.body.innerText")

    def wait_text(self, part, timeout=15):
        deadline = time.monotonic() + timeout
        while part not in (self.text() or ""):
            if time.monotonic() > deadline:
                raise TimeoutError(f"the page does not show {part!r}, but: {self.text()}")
            self.wait(0.2)

    def look(self, path, width=1200, height=1000, dark=False):
        """A picture of the whole page, or of the first 3,000 pixels of it."""
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.call("Emulation.setEmulatedMedia", features=scheme)
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=1, mobile=False)
        self.wait(0.3)
        long = self.value("document.documentElement.scrollHeight")
        clip = {"x": 0, "y": 0, "width": width, "height": min(long, 3000), "scale": 1}
        data = self.call("Page.captureScreenshot", START, captureBeyondViewport=True,
                         clip=clip)["data"]
        with open(path, "wb") as file:
            file.write(base64.b64decode(data))
