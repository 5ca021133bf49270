"""A server as an untrusted client on the network sees it."""

import http.client
import shutil
import sys
from pathlib import Path
from urllib.parse import urlsplit

from tests.helpers.paths import ROOT
from tools.visitor import Visitor

OUTSIDE = ROOT / "tests" / "helpers" / "outside"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SECRETS = str(ROOT).encode(), str(Path.home()).encode(), sys.prefix.encode(), b"root:x:0", b"session.pick_checkpoint"


class Listener(Visitor):
    """A visitor that keeps every message as it came."""

    def _take(self, message):
        self.raw = [*getattr(self, "raw", []), message]
        super()._take(message)


def ask(url, path, method="GET", headers=None, body=None):
    """Status, headers and body of a request whose path is sent as it stands."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=20)
    connection.request(method, path, body, headers or {})
    answer = connection.getresponse()
    found = answer.status, str(answer.headers), answer.read()
    connection.close()
    return found
