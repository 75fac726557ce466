"""Server of another site whose pages call ours: what a test puts into `files`, under a host of its own.

A page that Playwright makes up has no place on the network, and Chromium lets it reach no server on loopback.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import urlsplit


class OtherSite(ThreadingHTTPServer):
    """Serves `files`, text by path; those that end with ".js" as JavaScript, others as HTML."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.files: dict[str, str] = {}

    @property
    def url(self) -> str:
        """Of another host than the server under test; a browser lends its microphone there without TLS."""
        return f"http://localhost:{self.server_port}"


class _Answer(BaseHTTPRequestHandler):
    server: OtherSite

    def do_GET(self) -> None:  # the name that http.server wants
        path = urlsplit(self.path).path
        text = self.server.files.get(path)
        self.send_response(404 if text is None else 200)
        self.send_header("Content-Type", "text/javascript" if path.endswith(".js") else "text/html")
        self.end_headers()
        self.wfile.write((text or "").encode())

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@contextmanager
def other_site_running() -> Iterator[OtherSite]:
    """One that listens, until the end of the block."""
    with OtherSite() as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()
