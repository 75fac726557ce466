"""Hub on the loopback: the part of Hugging Face's protocol that downloads use, with faults on demand."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

COMMIT = "c0ffee" + "0" * 34


@dataclass
class Hub:
    """Files by path; each of them counts as a large file, so its SHA-256 is on record."""

    files: dict[str, bytes]
    repository: str = "some/model"
    endpoint: str = ""
    cut_after: int | None = None
    """The next download of a file breaks off after so many bytes."""
    corrupt: bool = False
    """Files are sent with their last byte changed."""
    redirected: bool = False
    """Files are sent from another path, as a content network does."""
    gated: bool = False
    ranges: list[str] = field(default_factory=list)
    """The Range headers of downloads."""
    downloads: int = 0
    commit: str = COMMIT
    """What it says is behind a revision."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        asked = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        paths = parse_qs(asked).get("paths", [])
        self._json([self._info(path) for path in paths if path in self.hub.files])

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        if self.hub.gated:
            self._send(403, b"{}", {"X-Error-Code": "GatedRepo", "X-Error-Message": "gated"})
        elif path.startswith("/api/models/") and "/revision/" in path:
            if path.split("/revision/")[0] != f"/api/models/{self.hub.repository}":
                self._send(404, b"{}", {"X-Error-Code": "RepoNotFound"})
            else:
                self._json({"id": self.hub.repository, "sha": self.hub.commit, "siblings": []})
        elif f"/resolve/{COMMIT}/" in path:
            self._file(path.split(f"/resolve/{COMMIT}/")[1], moved=False)
        elif path.startswith("/elsewhere/"):
            self._file(path.removeprefix("/elsewhere/"), moved=True)
        else:
            self._send(404, b"{}", {"X-Error-Code": "EntryNotFound"})

    def _info(self, path: str) -> dict[str, object]:
        content = self.hub.files[path]
        digest = hashlib.sha256(content).hexdigest()
        lfs = {"oid": digest, "size": len(content), "pointerSize": 130}
        return {"type": "file", "path": path, "size": len(content), "oid": "0" * 40, "lfs": lfs}

    def _file(self, path: str, *, moved: bool) -> None:
        content = self.hub.files[path]
        digest = hashlib.sha256(content).hexdigest()
        linked = {"X-Repo-Commit": COMMIT, "X-Linked-Etag": f'"{digest}"', "X-Linked-Size": str(len(content))}
        if self.hub.redirected and not moved:
            self._send(302, b"", {**linked, "Location": f"{self.hub.endpoint}/elsewhere/{path}"})
            return
        if self.command == "HEAD":
            self._send(200, content, {**linked, "ETag": f'"{digest}"', "Accept-Ranges": "bytes"})
            return
        self.hub.downloads += 1
        sent, start = (content[:-1] + b"!" if self.hub.corrupt else content), 0
        if asked := self.headers.get("Range"):
            self.hub.ranges.append(asked)
            start = int(asked.removeprefix("bytes=").split("-")[0])
        whole, sent = len(sent), sent[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(sent)))
        self.send_header("ETag", f'"{digest}"')
        if start:
            self.send_header("Content-Range", f"bytes {start}-{whole - 1}/{whole}")
        self.end_headers()
        if (cut := self.hub.cut_after) is not None:
            self.wfile.write(sent[:cut])
            self.wfile.flush()
            self.hub.cut_after, self.close_connection = None, True
            return
        self.wfile.write(sent)

    def _json(self, value: object) -> None:
        self._send(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


@contextmanager
def running(hub: Hub) -> Iterator[Hub]:
    """The hub answers within the block, at a free port of the loopback."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    server.daemon_threads = True
    hub.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
