"""The running system that the tests look at, and the wire that leads to it."""

import json
import os
import socket
import threading
import urllib.request
from pathlib import Path

import pytest

root = Path(__file__).resolve().parents[2]


routes = (root / "nginx" / "routes.conf").read_text()


def needs(*endpoints):
    """Marks a test of what goes on at these: it is left out where they are not part of this tree."""
    missing = [name for name in endpoints if f" {name};" not in routes]
    return pytest.mark.skipif(bool(missing), reason=f"not there: {', '.join(missing)}")


class Site:
    """The bin/serve of Tests/page."""

    # Between two codes, in milliseconds: OTP_RESEND_SECONDS
    resend = 3_000

    def __init__(self):
        self.url = os.environ["PAGE_URL"]

    def call(self, method, path, body=None, token=None):
        """The answer's JSON, of the API itself."""
        headers = {"Content-Type": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        request = urllib.request.Request(self.url + path, json.dumps(body).encode() if body is not None else None, headers, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
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
