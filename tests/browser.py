"""A headless Chromium that opens files, without a network: what a page does, asks for, complains about, looks like."""

import base64
import fcntl
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
MISSING = f"none of {', '.join(NAMES)} is installed"

ARGUMENTS = (
    "--headless",
    "--no-sandbox",  # which Chromium wants of root, as in a container
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-features=IsolateOrigins,site-per-process",  # frames are watched together with their page
    "--disable-site-isolation-trials",
    "--host-resolver-rules=MAP * ~NOTFOUND",  # nothing outside can be reached
    "--remote-debugging-pipe",
)


class Browser:
    """One tab of Chromium. It is told what to do in messages over two pipes (the DevTools protocol)."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="browser-", ignore_cleanup_errors=True)
        theirs, self.to = os.pipe()
        self.back, answers = os.pipe()
        # Chromium reads from descriptor 3 and writes to 4. High numbers, so that neither is overwritten by the other.
        high = [fcntl.fcntl(each, fcntl.F_DUPFD, 100) for each in (theirs, answers)]
        line = f'exec "$@" 3<&{high[0]} 4>&{high[1]}'
        command = [CHROMIUM, *ARGUMENTS, f"--user-data-dir={self.folder.name}", "about:blank"]
        self.process = subprocess.Popen(
            ["bash", "-c", line, "bash", *command],
            pass_fds=high,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for each in (theirs, answers, *high):
            os.close(each)
        self.unread, self.sent, self.events, self.session = b"", 0, [], None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def __enter__(self):
        return self

    def __exit__(self, *_reason):
        self.process.kill()
        self.process.wait()
        for each in (self.to, self.back):
            os.close(each)
        self.folder.cleanup()

    def call(self, method, **parameters):
        """Send one command and return its result."""
        self.sent += 1
        message = {"id": self.sent, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self.sent:
                assert "error" not in answer, answer
                return answer["result"]
            self.events.append(answer)

    def _next(self):
        while b"\0" not in self.unread:
            read = os.read(self.back, 1 << 20)
            assert read, "Chromium has ended"
            self.unread += read
        message, _, self.unread = self.unread.partition(b"\0")
        return json.loads(message)

    def open(self, path, width=1440, height=900, scheme="light"):
        """Open a file, at this width of the window, and wait until all that belongs to it is loaded."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.events = []
        self.call("Page.navigate", url=Path(path).resolve().as_uri())
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self.events.append(self._next())

    def run(self, script):
        """Return the value of a line of JavaScript on the page, once the page is at rest."""
        result = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def type(self, text):
        """Type into the element that has the focus."""
        self.call("Input.insertText", text=text)

    def press(self, key, code):
        for kind in ("keyDown", "keyUp"):
            text = {"text": "\r"} if key == "Enter" and kind == "keyDown" else {}
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **text)

    def picture(self, path):
        """Write a picture of the whole page."""
        taken = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        Path(path).write_bytes(base64.b64decode(taken["data"]))

    def _settled(self):
        """Return all events up to now: two frames after the last command, the page has asked for what it wants."""
        self.run("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(1))))")
        return self.events

    def asked_outside(self):
        """Return the addresses outside of this machine's files that the page has asked for."""
        events = [event["params"] for event in self._settled() if event["method"] == "Network.requestWillBeSent"]
        addresses = [event["request"]["url"] for event in events]
        return [each for each in addresses if each.split(":")[0] not in ("file", "data", "blob", "about")]

    def complaints(self):
        """Return the errors and warnings in the console of the page."""
        found = []
        for event in self._settled():
            given = event.get("params", {})
            if event["method"] == "Runtime.exceptionThrown":
                found.append(given["exceptionDetails"])
            elif event["method"] == "Runtime.consoleAPICalled" and given["type"] in ("error", "warning", "assert"):
                found.append(given["args"])
            elif event["method"] == "Log.entryAdded" and given["entry"]["level"] in ("error", "warning"):
                found.append(given["entry"]["text"])
        return found

    def overflow(self):
        """Return by how many pixels the page is wider than the window."""
        return self.run("document.documentElement.scrollWidth - document.documentElement.clientWidth")
