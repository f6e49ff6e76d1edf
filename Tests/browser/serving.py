"""The running system that the tests look at, and the wire that leads to it."""

import json
import os
import signal
import socket
import subprocess
import tempfile
import threading
import urllib.request
from pathlib import Path

root = Path(__file__).resolve().parents[2]


class Site:
    """A fresh bin/serve; with BROWSER_TEST_URL what runs there already, with the same settings."""

    # Between two codes, in milliseconds
    resend = 3_000
    settings = {"PROCESSES": "2", "LIMITS": "off", "OTP_RESEND_SECONDS": "3", "LOGIN_TRIES_BY_ADDRESS": "10000"}

    def __init__(self):
        self.url = os.environ.get("BROWSER_TEST_URL")
        self.serve = None
        if self.url:
            return
        self.state = tempfile.TemporaryDirectory()
        os.chmod(self.state.name, 0o755)
        self.log = Path(self.state.name) / "serve.log"
        port = os.environ.get("BROWSER_TEST_PORT", "8396")
        self.url = f"http://127.0.0.1:{port}"
        settings = {**self.settings, "STATE_DIR": f"{self.state.name}/state", "PORT": port, "PUBLIC_URL": self.url}
        with self.log.open("w") as log:
            self.serve = subprocess.Popen(["setpriv", "--pdeathsig", "TERM", "bin/serve"], cwd=root, env={**os.environ, **settings}, stdout=log, stderr=log)
        while f"ready {self.url}" not in self.log.read_text():
            if self.serve.poll() is not None:
                raise RuntimeError(self.log.read_text())
            try:
                self.serve.wait(0.1)
            except subprocess.TimeoutExpired:
                pass

    def end(self):
        if self.serve:
            self.serve.send_signal(signal.SIGTERM)
            self.serve.wait(60)
            self.state.cleanup()

    def call(self, method, path, body=None, token=None):
        """The answer's JSON, of the API itself."""
        headers = {"Content-Type": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        request = urllib.request.Request(self.url + path, json.dumps(body).encode() if body is not None else None, headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read() or "null")


class Wire:
    """A TCP proxy before the site, which can be cut, go silent, and lose an answer."""

    def __init__(self, site):
        self.site = site
        self.pairs = []
        self.silent = set()
        self.lost_answers = 0
        self.port = None
        self.listener = None
        self.mend()
        self.url = f"http://127.0.0.1:{self.port}"

    def mend(self):
        """Connections are taken again, at the same port."""
        self.listener = socket.create_server(("127.0.0.1", self.port or 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, args=[self.listener], daemon=True).start()

    def cut(self):
        """All connections end at once, and none is taken."""
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self._end_all()

    def silence(self):
        """On the connections that there are nothing arrives any more, and nobody is told."""
        self.silent.update(self.pairs)

    def lose_answer(self):
        """The next request to send a message arrives, but its answer is lost with the connection."""
        self.lost_answers += 1

    def _end_all(self):
        for pair in self.pairs:
            for end in pair:
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass  # it had ended
        self.pairs = []

    def _accept(self, listener):
        try:
            while True:
                near, _ = listener.accept()
                far = socket.create_connection(("127.0.0.1", int(self.site.url.rsplit(":", 1)[1])))
                pair = (near, far)
                self.pairs.append(pair)
                fate = threading.Event()  # set: what comes back on this connection is lost
                threading.Thread(target=self._carry, args=[pair, near, far, fate], daemon=True).start()
                threading.Thread(target=self._carry, args=[pair, far, near, fate], daemon=True).start()
        except OSError:
            pass  # cut

    def _carry(self, pair, source, target, fate):
        is_request = source is pair[0]
        try:
            while data := source.recv(65536):
                if pair in self.silent:
                    continue
                if is_request and self.lost_answers and data.startswith(b"POST ") and b"/message HTTP" in data:
                    self.lost_answers -= 1
                    fate.set()
                if not is_request and fate.is_set():
                    break
                target.sendall(data)
        except OSError:
            pass  # one of the two has ended
        for end in (source, target):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
